package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// counts is what came of the flips. It may be used by several goroutines.
type counts struct {
	mu       sync.Mutex
	kinds    map[string]int
	flips    int // applied
	refusals int
	starts   int
	left     int // files left over
	wrong    []string
}

func newCounts() *counts { return &counts{kinds: map[string]int{}} }

// outcome is what came of one flip.
type outcome struct {
	applied bool
	refused bool
	started bool
	left    int
	said    string // the error, for what went wrong
}

func (c *counts) add(kind string, o outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.applied {
		c.kinds[kind]++
		c.flips++
	}
	if o.applied && o.refused {
		c.refusals++
	}
	if o.started {
		c.starts++
	}
	c.left += o.left
	if !o.applied || !o.refused || o.started || o.left > 0 {
		c.wrong = append(c.wrong, fmt.Sprintf("%s: %+v", kind, o))
	}
}

// verdict is an error unless every one of the flips was applied and refused, and nothing else
// happened.
func (c *counts) verdict(want int) error {
	var problems []error
	for _, w := range c.wrong[:min(len(c.wrong), 10)] {
		problems = append(problems, errors.New(w))
	}
	if c.flips != want || c.refusals != want || c.starts != 0 || c.left != 0 {
		problems = append(problems, fmt.Errorf("want %d flips, all refused, no start and nothing left over", want))
	}
	return errors.Join(problems...)
}

// byKind says how many flips of each kind were applied.
func (c *counts) byKind() []string {
	var lines []string
	for kind, n := range c.kinds {
		lines = append(lines, fmt.Sprintf("%-30s %d", strings.ReplaceAll(kind, "_", " "), n))
	}
	slices.Sort(lines)
	return lines
}

func (c *counts) String() string {
	return fmt.Sprintf("flips %d, refusals %d, starts %d, files left over %d", c.flips, c.refusals, c.starts, c.left)
}
