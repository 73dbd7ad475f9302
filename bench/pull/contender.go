package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// contender pulls images into a store of its own.
type contender interface {
	name() string
	// does says what work a pull is, so that the comparison can be judged.
	does() string
	// pulls reports whether it can do a scenario.
	pulls(scenario) bool
	// prepare makes an empty store under dir; it is not timed.
	prepare(ctx context.Context, dir string) error
	// pull brings images into the store.
	pull(ctx context.Context, addr string, images []*image) (sample, error)
	// check looks whether the store now has an image's files, as far as it keeps files.
	check(img *image) error
	// clean ends what prepare has started; the directory is removed by the caller.
	clean() error
}

// sample is what one pull cost.
type sample struct {
	took    time.Duration
	peak    int64 // bytes of resident memory, daemon included
	cpu     time.Duration
	fetched int64 // bytes of layers, where it is known
}

// command runs a program, and measures it from its start to its end.
func command(ctx context.Context, name string, args ...string) (sample, string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = dieWithParent()
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	begin := time.Now()
	err := cmd.Run()
	took := time.Since(begin)
	if err != nil {
		return sample{}, "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out.String())
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return sample{
		took: took, peak: usage.Maxrss << 10,
		cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(),
	}, out.String(), nil
}

// dieWithParent has a child end with the benchmark, however that ends.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// flush leaves no dirty pages of one contender for the next to wait for.
func flush() { syscall.Sync() }

func exists(path string, size int64) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() != size {
		return fmt.Errorf("%s has %d bytes, want %d", path, info.Size(), size)
	}
	return nil
}
