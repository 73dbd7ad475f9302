package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime/debug"

	"github.com/google/go-containerregistry/pkg/registry"
)

// published is what the registry's process tells about what it serves.
type published struct {
	Addr   string
	Images map[string]*image // by reference, without their blobs
}

// serve packs the images and runs go-containerregistry's registry with them in memory, and prints
// where and what as one line of JSON.
func serve(ctx context.Context, cache, lockFile string) error {
	images, err := pack(cache, lockFile)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	addr := listener.Addr().String()
	for _, img := range images {
		if err = push(ctx, addr, img); err != nil {
			break
		}
	}
	debug.FreeOSMemory()
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(published{addr, images})
	}
	if err == nil {
		<-ctx.Done()
	}
	_ = server.Close()
	<-served
	return err
}

// startRegistry runs the registry as a process of its own, so that its memory and its garbage are
// nobody else's: a child's peak memory begins with that of the process that started it.
func startRegistry(ctx context.Context, o options) (p published, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return p, nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-cache", o.cache, "-lock", o.lock, "serve")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = dieWithParent()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return p, nil, err
	}
	if err := cmd.Start(); err != nil {
		return p, nil, err
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	if err := json.NewDecoder(out).Decode(&p); err != nil {
		stop()
		return p, nil, fmt.Errorf("the registry did not start: %w", err)
	}
	return p, stop, nil
}

func push(ctx context.Context, addr string, img *image) error {
	base := "http://" + addr + "/v2/" + img.Repository
	send := func(method, url, media string, body []byte) error {
		req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", media)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusCreated {
			return fmt.Errorf("%s %s: %s", method, url, resp.Status)
		}
		return nil
	}
	for d, blob := range img.Blobs {
		if err := send(http.MethodPost, base+"/blobs/uploads/?digest="+d, "application/octet-stream", blob); err != nil {
			return err
		}
	}
	for _, name := range []string{img.Tag, img.Locked.Manifest} {
		if err := send(http.MethodPut, base+"/manifests/"+name, mediaManifest, img.Manifest); err != nil {
			return err
		}
	}
	return nil
}
