package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// median of what value says of each run; of an even number the mean of the two in the middle.
func median(all []run, value func(run) float64) float64 {
	var v []float64
	for _, r := range all {
		v = append(v, value(r))
	}
	slices.Sort(v)
	n := len(v)
	if n%2 == 1 {
		return v[n/2]
	}
	return (v[n/2-1] + v[n/2]) / 2
}

// report writes the medians of a size and what the nodes of its last run have cost.
func report(w io.Writer, size string, all []run) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\n%s, median of %d\tREACHED AFTER SECONDS\n", size, len(all))
	for _, p := range all[0].phases {
		fmt.Fprintf(t, "%s\t%.2f\n", p.Name, median(all, func(r run) float64 {
			for _, q := range r.phases {
				if q.Name == p.Name {
					return q.Reached
				}
			}
			return 0
		}))
	}
	fmt.Fprintf(t, "processor time of all nodes\t%.1f\n", median(all, func(r run) float64 { return r.processor }))
	t.Flush()
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nNODE (last run)\tPROCESSOR SECONDS\tMEMORY MiB\tRECEIVED MiB\tVERIFIED MiB")
	for _, n := range all[len(all)-1].nodes {
		fmt.Fprintf(t, "%s\t%.1f\t%d\t%.1f\t%.1f\n", n.name, n.processor, n.memory>>20, float64(n.received)/(1<<20), float64(n.verified)/(1<<20))
	}
	t.Flush()
	fmt.Fprintln(w)
}
