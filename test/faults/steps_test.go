package faults

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/test/faults/tracer"
)

// namer gives the calls of a transition from one shape to another names that are the same in
// every transition: roles in place of numbers and digests.
func (w *world) namer(from, to *shape) func(*tracer.Call) string {
	roles := map[uint64]string{to.number: "NEW"}
	if from != nil {
		roles[from.number] = "OLD"
	}
	var pairs []string
	versionRole := func(v int) string {
		switch {
		case v == to.version:
			return "new"
		case from != nil && v == from.version:
			return "old"
		}
		return "older"
	}
	for name, of := range w.images {
		for v, image := range of {
			label := name
			if len(of) > 1 {
				label += "-" + versionRole(v)
			}
			manifest := image.Platform().Manifest[7:]
			pairs = append(pairs, manifest, label)
			var blobs []string
			for digest := range image.Blobs {
				blobs = append(blobs, digest[7:])
			}
			sort.Strings(blobs)
			for _, blob := range blobs {
				kind := "layer"
				if "sha256:"+blob == image.Platform().Config {
					kind = "config"
				}
				pairs = append(pairs, blob, label+"."+kind)
			}
		}
	}
	for v := range versions {
		pairs = append(pairs, fmt.Sprintf("shared@%d", v), "shared@"+versionRole(v))
	}
	fresh, gone := to.only()
	bare := func(unit string) string { return strings.TrimSuffix(strings.TrimPrefix(unit, "slipway-"), ".service") }
	pairs = append(pairs, fresh, "slipway-FRESH.service", gone, "slipway-GONE.service",
		"pki/"+bare(fresh), "pki/FRESH", "pki/"+bare(gone), "pki/GONE",
		"files/"+bare(fresh), "files/FRESH", "files/"+bare(gone), "files/GONE", " "+plan.Root+"/", " ")
	replace := strings.NewReplacer(pairs...)
	generation := regexp.MustCompile(`generations/(?:\.slipway-tmp-)?(\d+)`)
	random := regexp.MustCompile(`[0-9]{5,}`)
	return func(call *tracer.Call) string {
		text := stepOf(call, call.PID)
		text = replace.Replace(text)
		text = generation.ReplaceAllStringFunc(text, func(found string) string {
			at := strings.LastIndexAny(found, "/-") + 1
			number, _ := strconv.ParseUint(found[at:], 10, 64)
			if role := roles[number]; role != "" {
				return found[:at] + role
			}
			return found[:at] + "OLDER"
		})
		return random.ReplaceAllString(text, "#")
	}
}

// step is one call of a transition: its name and how often it had come before.
type step struct {
	name string
	nth  int
}

func (s step) String() string {
	if s.nth == 1 {
		return s.name
	}
	return fmt.Sprintf("%s (%d)", s.name, s.nth)
}

// record applies undisturbed plans, each after prepare, and returns the steps that every one of them
// took.
func (w *world) record(t *testing.T, rounds int, prepare func() error) []step {
	t.Helper()
	least := map[string]int{}
	var order []string
	for round := range rounds {
		must(t, prepare())
		s := w.next()
		name := w.namer(w.current, s)
		count := map[string]int{}
		w.control.watch(func(call *tracer.Call, found string) {
			if found == "" {
				return
			}
			text := name(call)
			if count[text]++; count[text] == 1 && round == 0 {
				order = append(order, text)
			}
		})
		w.publish(s)
		if err := w.settle(s); err != nil {
			t.Fatalf("undisturbed: %v\n%s", err, w.node.Journal(w.ctx, 80))
		}
		w.control.watch(nil)
		for text, n := range count {
			if round == 0 {
				least[text] = n
			} else {
				least[text] = min(least[text], n)
			}
		}
		for text := range least {
			if count[text] == 0 {
				delete(least, text)
			}
		}
	}
	var steps []step
	for _, text := range order {
		for n := range least[text] {
			steps = append(steps, step{text, n + 1})
		}
	}
	return slices.Clip(steps)
}
