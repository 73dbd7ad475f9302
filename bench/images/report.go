package main

import (
	"fmt"
	"slices"
	"time"

	"slipway.build/slipway/imagebuild/component/gzip"
)

// report collects times by scenario and contender.
type report struct {
	scenarios  []string
	contenders []string
	times      map[string][]time.Duration
	sizes      map[string]int64
}

func newReport() *report {
	return &report{times: map[string][]time.Duration{}, sizes: map[string]int64{}}
}

func (r *report) add(scenario, contender string, took time.Duration) {
	if !slices.Contains(r.scenarios, scenario) {
		r.scenarios = append(r.scenarios, scenario)
	}
	if !slices.Contains(r.contenders, contender) {
		r.contenders = append(r.contenders, contender)
	}
	key := scenario + "/" + contender
	r.times[key] = append(r.times[key], took)
	fmt.Printf("  %-12s %-24s %7.2f s\n", scenario, contender, took.Seconds())
}

func (r *report) median(scenario, contender string) float64 {
	all := slices.Clone(r.times[scenario+"/"+contender])
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]).Seconds() / 2
}

func (r *report) print() {
	fmt.Printf("\n%-24s %12s %12s %14s\n", "median of rounds", "cold", "one changed", "layers pulled")
	for _, c := range r.contenders {
		fmt.Printf("%-24s %10.2f s %10.2f s %11.1f MB\n", c, r.median("cold", c), r.median("one changed", c), float64(r.sizes[c])/1e6)
	}
	fmt.Println("\nBoth compress with gzip on all cores: buildah with klauspost/pgzip at its default level, slipway with")
	fmt.Printf("klauspost/compress at level %d in blocks of 1 MiB, deterministically. Both find unchanged files by their\n", gzip.Level)
	fmt.Println("sums. slipway reads its layers back and holds them against what was declared; buildah's have no such check.")
	fmt.Printf("ratio images %.1f\n", r.median("cold", "buildah")/r.median("cold", "slipway"))
	fmt.Printf("ratio images-incremental %.1f\n", r.median("one changed", "buildah")/r.median("one changed", "slipway"))
}
