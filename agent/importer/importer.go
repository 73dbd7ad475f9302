// Package importer gives verified images to the pods' runtime, by a program of its own: the
// client that it needs would make every agent process several times larger.
package importer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"time"

	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/fault"
)

// Image is one verified image and the name under which pods know it.
type Image struct {
	Name      string
	Layout    string // directory of its OCI layout
	Digest    string
	Reference string
}

// Tool is the program that imports.
type Tool struct {
	Path   string // of the program
	Socket string // of the runtime
}

// DefaultSocket is containerd's.
const DefaultSocket = "/run/containerd/containerd.sock"

// Import waits until the runtime accepts connections and imports the images. Failures are
// retried until ctx ends, because a runtime that has just started may not serve yet.
func (t Tool) Import(ctx context.Context, images []Image) error {
	if len(images) == 0 {
		return nil
	}
	if err := t.await(ctx); err != nil {
		return err
	}
	waits := backoff.Backoff{First: 100 * time.Millisecond, Max: 2 * time.Second}
	for _, image := range images {
		for {
			err := t.run(ctx, image)
			if err == nil {
				break
			}
			if wait := waits.Wait(ctx); wait != nil {
				return fmt.Errorf("import image %s: %w", image.Name, errors.Join(wait, err))
			}
		}
	}
	return nil
}

func (t Tool) await(ctx context.Context) error {
	waits := backoff.Backoff{First: 20 * time.Millisecond, Max: 200 * time.Millisecond}
	dialer := net.Dialer{Timeout: time.Second}
	for {
		conn, err := dialer.DialContext(ctx, "unix", t.Socket)
		if err == nil {
			return conn.Close()
		}
		if wait := waits.Wait(ctx); wait != nil {
			return fault.Retriablef("import images: the runtime's socket: %w (%w)", wait, err)
		}
	}
}

func (t Tool) run(ctx context.Context, image Image) error {
	cmd := exec.CommandContext(ctx, t.Path, "--address", t.Socket, "--layout", image.Layout, "--digest", image.Digest, "--reference", image.Reference)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", t.Path, err, strings.TrimSpace(string(out)))
	}
	return nil
}
