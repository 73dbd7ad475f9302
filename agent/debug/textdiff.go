package debug

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteText writes a difference for people.
func (d *Diff) WriteText(w io.Writer) error {
	var out strings.Builder
	for i, side := range []Side{d.From, d.To} {
		name := fmt.Sprintf("generation %d", side.Generation)
		if side.File != "" {
			name = fmt.Sprintf("generation %d in %s", side.Generation, side.File)
		}
		if side.Step != "" {
			name += " (" + side.Step + ")"
		}
		if side.Reason != "" {
			name += ": " + side.Reason
		}
		if side.Unproven != "" {
			name += "; its signatures do not hold: " + side.Unproven
		}
		fmt.Fprintf(&out, "%s %s\n", [2]string{"from", "to  "}[i], name)
	}
	if len(d.Units)+len(d.Images)+len(d.Files)+len(d.Other) == 0 {
		out.WriteString("\nThey are the same.\n")
	}
	for _, unit := range d.Units {
		fmt.Fprintf(&out, "\nunit %s is %s\n", unit.Name, unit.Change)
		for _, line := range append(unit.Options, unit.Exec...) {
			fmt.Fprintf(&out, "  %s\n", line)
		}
		for _, line := range unit.Args {
			fmt.Fprintf(&out, "  argument %s\n", line)
		}
	}
	for _, image := range d.Images {
		fmt.Fprintf(&out, "\nimage %s is %s\n", image.Name, image.Change)
		if image.From != "" {
			fmt.Fprintf(&out, "  - %s\n", image.From)
		}
		if image.To != "" {
			fmt.Fprintf(&out, "  + %s\n", image.To)
		}
	}
	for _, file := range d.Files {
		fmt.Fprintf(&out, "\nfile %s is %s %s\n%s", file.Path, file.Change, file.Mode, file.Text)
	}
	if len(d.Other) > 0 {
		fmt.Fprintf(&out, "\n%s\n", strings.Join(d.Other, "\n"))
	}
	out.WriteString("\nThe switch would\n")
	said := false
	for _, part := range []struct {
		what  string
		units []string
	}{{"stop", d.Switch.Stop}, {"restart", d.Switch.Restart}, {"start", d.Switch.Start}} {
		if len(part.units) > 0 {
			said = true
			fmt.Fprintf(&out, "  %-8s %s\n", part.what, strings.Join(part.units, ", "))
		}
	}
	if !said {
		out.WriteString("  leave all units alone\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// WriteText writes what was compared, for people: what differs, and how much does not.
func (r *Report) WriteText(w io.Writer) error {
	t := &table{w: w}
	count := map[string]int{}
	for _, finding := range r.Findings {
		count[finding.Class]++
		if !finding.OK {
			t.row("DIFFERS", "%s", finding.What)
			t.row("", "expected %s", finding.Expected)
			t.row("", "found    %s", finding.Found)
		}
	}
	for _, skipped := range r.Skipped {
		t.row("skipped", "%s", skipped)
	}
	t.row("plan", "%d, %s, signed by key %s", r.Generation, r.Plan, strings.Join(r.SignedBy, ", "))
	t.row("lock", "%s, signed by key %s (%s)", r.Lock, r.LockKey, r.LockFile)
	var classes []string
	for _, class := range []string{ClassImage, ClassGeneration, ClassUnit, ClassProcess, ClassCertificate} {
		if count[class] > 0 {
			classes = append(classes, fmt.Sprintf("%s %d", class, count[class]))
		}
	}
	t.row("compared", "%s", strings.Join(classes, ", "))
	t.row("result", "%d of %d are what was signed", len(r.Findings)-r.Bad(), len(r.Findings))
	return t.err
}

// WriteText writes what the agent remembers, for people.
func (r *Record) WriteText(w io.Writer) error {
	t := &table{w: w}
	for _, entry := range r.Entries {
		mark := ""
		if entry.Generation == r.Current {
			mark = " <- current"
		}
		t.row(fmt.Sprintf("plan %d", entry.Generation), "%s, accepted %s, deployment %s%s", entry.Step, entry.Began.UTC().Format(time.RFC3339), entry.Deployment, mark)
		t.row("", "%s", entry.PlanDigest)
		if entry.Reason != "" {
			t.row("", "because %s", entry.Reason)
		}
		for _, job := range entry.Jobs {
			t.row("", "owes systemd: %s %s", job.Action, job.Unit)
		}
		if len(entry.TasksDone) > 0 {
			t.row("", "tasks done: %s", strings.Join(entry.TasksDone, ", "))
		}
	}
	if len(r.Entries) == 0 {
		t.row("plans", "none yet")
	}
	t.row("outbox", "%d signals wait for the control plane", len(r.Outbox))
	for _, signal := range r.Outbox {
		t.row("", "%s %s %s %s", signal.Time.UTC().Format(time.RFC3339), signal.Phase, signal.Deployment, signal.Reason)
	}
	for _, dir := range r.Filled {
		t.row("filled", "%s", dir)
	}
	return t.err
}
