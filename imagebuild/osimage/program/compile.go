package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Toolchain is the Go release that compiles what ends up on nodes. The Makefile names it, too.
const Toolchain = "go1.26.7"

// linkerFlags leave out what differs from one machine to the next, and symbols.
const linkerFlags = "-s -w -buildid="

// Programs are files of this machine.
type Programs struct{ Agent, ImportTool, Exec, Verifier string }

// In returns the programs as `make build` leaves them in a directory.
func In(dir string) Programs {
	return Programs{Agent: filepath.Join(dir, "slipway-agent"), ImportTool: filepath.Join(dir, "slipway-import"), Exec: filepath.Join(dir, "slipway-exec"),
		Verifier: filepath.Join(dir, "slipway-image-verifier")}
}

// Options say what to compile.
type Options struct {
	Source       string // root of a clone of slipway
	Architecture string // amd64 or arm64
	Dir          string // the programs are written to it
	Toolchain    string // empty: Toolchain
}

// Compile writes the programs. Modules and toolchain come from Go's caches, or are fetched
// and held against go.sum and the checksum database.
func Compile(ctx context.Context, opts Options) (Programs, error) {
	if opts.Toolchain == "" {
		opts.Toolchain = Toolchain
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", linkerFlags,
		"-o", opts.Dir+string(filepath.Separator), "./cmd/slipway-agent", "./cmd/slipway-exec", "./cmd/slipway-import", "./cmd/slipway-image-verifier")
	cmd.Dir = opts.Source
	cmd.Env = environment(os.Environ(), opts)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return Programs{}, ctx.Err()
		}
		if errors.Is(err, exec.ErrNotFound) {
			return Programs{}, errors.New("compile the node's programs: there is no go command here; install Go, or give programs that `make build` made elsewhere")
		}
		return Programs{}, fmt.Errorf("compile the node's programs by %s: %w: %s", opts.Toolchain, err, last(stderr.String()))
	}
	return In(opts.Dir), nil
}

// environment replaces every variable that changes what comes out.
func environment(inherited []string, opts Options) []string {
	fixed := []string{
		"GOTOOLCHAIN=" + opts.Toolchain, "GOOS=linux", "GOARCH=" + opts.Architecture, "GOAMD64=v1", "GOARM64=v8.0",
		"CGO_ENABLED=0", "GOFLAGS=", "GOEXPERIMENT=", "GOFIPS140=off", "GOWORK=off",
	}
	names := map[string]bool{}
	for _, f := range fixed {
		name, _, _ := strings.Cut(f, "=")
		names[name] = true
	}
	var env []string
	for _, v := range inherited {
		if name, _, _ := strings.Cut(v, "="); !names[name] {
			env = append(env, v)
		}
	}
	return append(env, fixed...)
}

// last returns the end of a compiler's complaint: the first lines name packages only.
func last(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if n := len(lines); n > 10 {
		lines = lines[n-10:]
	}
	return strings.Join(lines, "; ")
}
