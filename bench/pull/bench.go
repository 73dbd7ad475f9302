package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

type options struct {
	rounds                 int
	cache, lock, dir, only string
	profile, scenarios     string
}

// task is what is in a store already, and what is then pulled.
type task struct{ before, images []*image }

// scenario is one thing that is timed. ours and theirs are the same, but for one.
type scenario struct {
	name         string
	about        string
	ours, theirs task
}

// of is the task of a contender.
func (s scenario) of(c contender) task {
	if _, ok := c.(*ours); ok {
		return s.ours
	}
	return s.theirs
}

// results are the samples of a scenario by contender, in the order of the contenders.
type results struct {
	scenario scenario
	samples  map[string][]sample
}

func bench(ctx context.Context, o options) error {
	if o.rounds < 1 {
		return fmt.Errorf("-rounds %d: want at least one", o.rounds)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("overlay stores need root")
	}
	fmt.Println("packing", strings.Join(binaries, ", "), "…")
	registry, stop, err := startRegistry(ctx, o)
	if err != nil {
		return err
	}
	defer stop()
	if err := clear(o.dir); err != nil {
		return err
	}
	defer func() { _ = clear(o.dir) }()
	contenders := []contender{&ours{profile: o.profile}, &containerd{}, &podman{}, &skopeo{decompress: true}, &skopeo{}}
	if o.only != "" {
		names := strings.Split(o.only, ",")
		contenders = slices.DeleteFunc(contenders, func(c contender) bool { return !slices.Contains(names, c.name()) })
	}
	var all []results
	for _, sc := range registry.scenarios() {
		if o.scenarios != "" && !slices.Contains(strings.Split(o.scenarios, ","), sc.name) {
			continue
		}
		r, err := race(ctx, o, registry.Addr, sc, contenders)
		if err != nil {
			return err
		}
		all = append(all, r)
	}
	report(os.Stdout, all, contenders)
	return nil
}

// race runs the rounds of a scenario; whoever began last begins the next round.
func race(ctx context.Context, o options, addr string, sc scenario, contenders []contender) (results, error) {
	r := results{scenario: sc, samples: map[string][]sample{}}
	for round := range o.rounds {
		for i := range contenders {
			c := contenders[(i+round)%len(contenders)]
			if !c.pulls(sc) {
				continue
			}
			s, err := once(ctx, filepath.Join(o.dir, "store"), addr, sc, c)
			if err != nil {
				return r, fmt.Errorf("%s, round %d, %s: %w", sc.name, round+1, c.name(), err)
			}
			r.samples[c.name()] = append(r.samples[c.name()], s)
			fmt.Printf("%s round %d: %s %.2f s\n", sc.name, round+1, c.name(), s.took.Seconds())
		}
	}
	return r, nil
}

// once times one pull into a fresh store.
func once(ctx context.Context, dir, addr string, sc scenario, c contender) (s sample, err error) {
	if err := c.prepare(ctx, dir); err != nil {
		return s, err
	}
	defer func() {
		if e := c.clean(); e != nil && err == nil {
			err = e
		}
		if e := os.RemoveAll(dir); e != nil && err == nil {
			err = e
		}
		flush()
	}()
	if before := sc.of(c).before; before != nil {
		if _, err := c.pull(ctx, addr, before); err != nil {
			return s, err
		}
	}
	flush()
	images := sc.of(c).images
	if s, err = c.pull(ctx, addr, images); err != nil {
		return s, err
	}
	for _, img := range images {
		if err := c.check(img); err != nil {
			return s, err
		}
	}
	return s, nil
}

// clear removes what an earlier run that was killed left.
func clear(dir string) error {
	if err := unmountBelow(dir); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

func unmountBelow(dir string) error {
	mounts, err := os.Open("/proc/self/mounts")
	if err != nil {
		return err
	}
	defer mounts.Close()
	var below []string
	for lines := bufio.NewScanner(mounts); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 1 && (fields[1] == dir || strings.HasPrefix(fields[1], dir+"/")) {
			below = append(below, fields[1])
		}
	}
	for _, at := range slices.Backward(below) {
		if err := syscall.Unmount(at, syscall.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", at, err)
		}
	}
	return nil
}
