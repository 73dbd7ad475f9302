package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// server is a registry in memory, in this process.
type server struct {
	address string
	http    *http.Server
	done    chan error
}

func serve() (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{
		address: l.Addr().String(), done: make(chan error, 1),
		http: &http.Server{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0)))},
	}
	go func() { s.done <- s.http.Serve(l) }()
	return s, nil
}

func (s *server) close() {
	_ = s.http.Close()
	<-s.done
}

// check pulls what was pushed, as a client of amd64 would, so that neither contender is measured
// for less than images that can be pulled, and notes their compressed sizes.
func (s *server) check(ctx context.Context, r *report, contender string) error {
	reg, err := name.NewRegistry(s.address)
	if err != nil {
		return err
	}
	var size int64
	for _, n := range names() {
		img, err := remote.Image(reg.Repo("slipway/"+n).Tag("v1.0.0"), remote.WithContext(ctx), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: "amd64"}))
		if err != nil {
			return fmt.Errorf("pull what was pushed: %w", err)
		}
		layers, err := img.Layers()
		if err != nil || len(layers) == 0 {
			return errors.Join(fmt.Errorf("%s has %d layers", n, len(layers)), err)
		}
		for _, l := range layers {
			n, err := l.Size()
			if err != nil {
				return err
			}
			size += n
		}
	}
	if r != nil {
		r.sizes[contender] = size
	}
	return nil
}
