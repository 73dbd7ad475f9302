package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// workerComponents is how many components a worker has; the measured ones are a master's.
const workerComponents = 3

func report(out io.Writer, us *ours, them *theirs, disk int64) {
	supervisors := 0
	for _, n := range us.Supervisors {
		supervisors += n
	}
	worker := us.Agent + supervisors*workerComponents/max(len(us.Supervisors), 1)
	minute := func(seconds, idle float64) float64 { return seconds * 60 / idle }
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(what, format string, a, b any) {
		_, _ = fmt.Fprintf(table, "%s\t"+format+"\t"+format+"\n", what, a, b)
	}
	_, _ = fmt.Fprintln(table, "\nWHAT\tSLIPWAY-AGENT\tOS-COLLECT-CONFIG")
	row("memory, whole tree of a master, KiB PSS", "%d", us.Agent+supervisors, them.memory)
	_, _ = fmt.Fprintf(table, "  the agent alone (of it anonymous)\t%d (%d)\t\n", us.Agent, us.Anonymous)
	_, _ = fmt.Fprintf(table, "  %d supervisors\t%d\t\n", len(us.Supervisors), supervisors)
	_, _ = fmt.Fprintf(table, "  of a worker: agent and %d supervisors\t%d\t\n", workerComponents, worker)
	row("processor time at rest, s a minute", "%.4f", minute(us.Processor, us.Idle), minute(them.processor, them.idle))
	_, _ = fmt.Fprintf(table, "  the agent alone\t%.4f\t\n", minute(us.AgentAlone, us.Idle))
	row("start to first request, s (median)", "%.4f", median(us.Start), median(them.start))
	row("reaction to a change, s (mean)", "%.4f", mean(us.Reaction), mean(them.reaction))
	row("  the slowest", "%.4f", slices.Max(us.Reaction), slices.Max(them.reaction))
	_, _ = fmt.Fprintf(table, "  until what it changes is started\t%.4f\t\n", mean(us.Effect))
	_, _ = fmt.Fprintf(table, "  until all is reported healthy\t%.4f\t\n", mean(us.Done))
	row("size on disk with all it needs, MiB", "%d", disk>>20, them.disk>>20)
	_ = table.Flush()
	_, _ = fmt.Fprintf(out, "ratio agent-memory-worker %.1f\n", float64(them.memory)/float64(worker))
	_, _ = fmt.Fprintf(out, "ratio agent-disk %.1f\n", float64(them.disk)/float64(disk))
	_, _ = fmt.Fprintf(out, "ratio agent-memory %.1f\n", float64(them.memory)/float64(us.Agent+supervisors))
	_, _ = fmt.Fprintf(out, "ratio agent-cpu %.2f\n", minute(them.processor, them.idle)/minute(us.Processor, us.Idle))
	_, _ = fmt.Fprintf(out, "ratio agent-start %.1f\n", median(them.start)/median(us.Start))
	_, _ = fmt.Fprintf(out, "ratio agent-reaction %.1f\n", mean(them.reaction)/mean(us.Reaction))
}

func mean(all []float64) (m float64) {
	for _, x := range all {
		m += x / float64(len(all))
	}
	return m
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
