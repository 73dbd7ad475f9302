package debug

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// WriteText writes the state of the node for people.
func (o *Overview) WriteText(w io.Writer) error {
	t := &table{w: w}
	switch a := o.Agent; {
	case a == nil:
		t.row("agent", "has not run since the boot")
	case a.Phase != "":
		t.row("agent", "%s (phase %s, since %s)", a.Doing, a.Phase, a.Since.Format("15:04:05"))
	default:
		t.row("agent", "%s (since %s)", a.Doing, a.Since.Format("15:04:05"))
	}
	if o.Agent != nil && o.Agent.Reason != "" {
		t.row("reason", "%s", o.Agent.Reason)
	}
	if o.Current == 0 {
		t.row("generation", "none")
	} else {
		t.row("node", "%s (%s, %s)", o.Node.Name, o.Node.Role, o.Node.Address)
		t.row("generation", "%d", o.Current)
		o.units(w)
	}
	if t.err != nil {
		return t.err
	}
	return o.conditions(w)
}

func (o *Overview) units(w io.Writer) {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(out, "\nUNIT\tSTATE\tIMAGE\tSAYS")
	for _, unit := range o.Units {
		_, _ = fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", unit.Name, unit.State, unit.Image, unit.Text)
	}
	_ = out.Flush()
}

// conditions writes what the running agent watches beside the units.
func (o *Overview) conditions(w io.Writer) error {
	if o.Agent == nil || len(o.Agent.Conditions) == 0 {
		return nil
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(out, "\nCONDITION\tSTATUS\tREASON\tSINCE\tMESSAGE")
	for _, c := range o.Agent.Conditions {
		_, _ = fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", c.Type, c.Status, c.Reason, c.Since.Format("01-02 15:04:05"), c.Message)
	}
	return out.Flush()
}
