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
		fmt.Fprintf(w, "%s: %s\n%.0f MB unpacked, %.0f MB of layers\n", r.scenario.name, r.scenario.about, r.scenario.theirs.unpacked()/1e6, r.scenario.theirs.travels()/1e6)
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
		fmt.Fprintf(w, "%s: the fastest peer that unpacks is %s, %.2f s; slipway %.2f s\n", r.scenario.name, peer, best, own)
		switch r.scenario.name {
		case "pull-upgrade-same-bytes":
			fmt.Fprintf(w, "ratio %s %.1f\n", r.scenario.name, best/own)
			continue
		case "pull-zstd":
			fmt.Fprintf(w, "ratio pull-zstd-same-bytes %.1f\n", best/own)
			// The field publishes gzip, we publish zstd: that is what a node waits for.
			if _, best = fastest(all[0]); best == 0 || all[0].scenario.name != "pull" {
				continue
			}
			fmt.Fprintf(w, "pull-zstd: slipway with the zstd layers that it publishes, the fastest peer with gzip layers, %.2f s\n", best)
		}
		last = append(last, fmt.Sprintf("ratio %s %.1f", r.scenario.name, best/own))
	}
	for _, line := range last {
		fmt.Fprintln(w, line)
	}
}

// unpacked is how many bytes of files a task has at the end.
func (t task) unpacked() (n float64) {
	for _, img := range t.images {
		for _, f := range img.Locked.Files {
			n += float64(f.Size)
		}
	}
	return n
}

// travels is how many bytes its layers have.
func (t task) travels() (n float64) {
	for _, img := range t.images {
		n += float64(img.Locked.Bytes())
	}
	return n
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
