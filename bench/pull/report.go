package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// stats are the median and the extremes of one thing.
type stats struct{ median, low, high float64 }

func statistics(samples []sample, value func(sample) float64) stats {
	v := make([]float64, len(samples))
	for i, s := range samples {
		v[i] = value(s)
	}
	slices.Sort(v)
	n := len(v)
	if n == 0 {
		return stats{}
	}
	return stats{(v[n/2] + v[(n-1)/2]) / 2, v[0], v[n-1]}
}

func seconds(s sample) float64 { return s.took.Seconds() }

// report prints a table for each scenario and the ratios last.
func report(w io.Writer, all []results, contenders []contender) {
	fmt.Fprintln(w)
	for _, r := range all {
		img := r.scenario.image
		fmt.Fprintf(w, "%s: %d layers, %.0f MB unpacked, %.0f MB as they travel", r.scenario.name, len(img.Locked.Layers), float64(img.unpacked())/1e6, float64(img.Locked.Size())/1e6)
		if r.scenario.before != nil {
			fmt.Fprintf(w, "; all but layer %d (%.1f MB) are in the store", changedLayer+1, float64(img.Locked.Layers[changedLayer].Size)/1e6)
		}
		fmt.Fprintln(w)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "CONTENDER\tMEDIAN s\tLOW\tHIGH\tPROCESSOR s\tPEAK MiB\tROUNDS")
		for _, c := range contenders {
			samples := r.samples[c.name()]
			if len(samples) == 0 {
				continue
			}
			took := statistics(samples, seconds)
			cpu := statistics(samples, func(s sample) float64 { return s.cpu.Seconds() })
			peak := statistics(samples, func(s sample) float64 { return float64(s.peak) / (1 << 20) })
			fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.0f\t%d\n", c.name(), took.median, took.low, took.high, cpu.median, peak.high, len(samples))
		}
		t.Flush()
		if n := len(r.samples["slipway"]); n > 0 {
			fmt.Fprintf(w, "slipway fetched %.1f MB of layers\n", float64(r.samples["slipway"][n-1].fetched)/1e6)
		}
		fmt.Fprintln(w)
	}
	for _, c := range contenders {
		fmt.Fprintf(w, "%s: %s\n", c.name(), c.does())
	}
	fmt.Fprintln(w)
	var last []string
	for _, r := range all {
		peer, best := fastest(r)
		own := statistics(r.samples["slipway"], seconds).median
		if best == 0 || own == 0 {
			continue
		}
		name := "ratio " + r.scenario.name
		fmt.Fprintf(w, "%s: the fastest peer that unpacks is %s, %.2f s; slipway %.2f s\n", r.scenario.name, peer, best, own)
		if r.scenario.image.Media == mediaZstd {
			// The field publishes gzip, we publish zstd: that is what a node waits for.
			fmt.Fprintf(w, "ratio pull-zstd-same-bytes %.1f\n", best/own)
			if _, best = fastest(all[0]); best == 0 {
				continue
			}
			fmt.Fprintf(w, "pull-zstd: slipway with its published zstd layers beside the fastest peer with gzip layers, %.2f s\n", best)
		}
		last = append(last, fmt.Sprintf("%s %.1f", name, best/own))
	}
	for _, line := range last {
		fmt.Fprintln(w, line)
	}
}

// fastest returns the peer with the lowest median. Who only copies blobs does other work and is
// not a peer.
func fastest(r results) (peer string, median float64) {
	for _, name := range []string{"containerd", "podman"} {
		if m := statistics(r.samples[name], seconds).median; m > 0 && (median == 0 || m < median) {
			peer, median = name, m
		}
	}
	return peer, median
}
