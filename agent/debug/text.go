package debug

import (
	"fmt"
	"io"
	"strings"
	"time"

	"slipway.build/slipway/agent/unitlog"
)

// table writes rows of a label and a text below each other.
type table struct {
	w   io.Writer
	err error
}

// row writes one line; a row without a label continues the one before.
func (t *table) row(label, format string, a ...any) {
	const width = 11
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, "%-*s %s\n", width, label, fmt.Sprintf(format, a...))
	}
}

// WriteText writes an answer for people.
func (a *Answer) WriteText(w io.Writer) error {
	t := &table{w: w}
	t.row(a.Kind, "%s: %s", a.Subject, a.State)
	if len(a.Causes) == 0 {
		t.row("cause", "nothing is wrong with it")
	}
	for _, cause := range a.Causes {
		t.row("cause", "%s [%s]", cause.What, cause.Code)
		for _, do := range cause.Do {
			t.row("", "-> %s", do)
		}
	}
	if len(a.Nearest) > 0 {
		t.row("meant?", "%s", strings.Join(a.Nearest, ", "))
	}
	a.chain(t)
	a.unit(t)
	for _, line := range a.Log {
		t.row("log", "%s %s[%d]: %s", line.Time.Format(time.TimeOnly), line.By, line.PID, line.Message)
	}
	return t.err
}

// chain writes who asked for it and who vouches for it.
func (a *Answer) chain(t *table) {
	if asked := a.Asked; asked != nil {
		at := ""
		if !asked.Accepted.IsZero() {
			at = ", accepted " + asked.Accepted.UTC().Format(time.RFC3339)
		}
		t.row("asked by", "plan %d%s (%s), deployment %s%s", asked.Generation, at, asked.Step, asked.Deployment, from(asked.ControlPlane))
		if asked.Plan != "" {
			t.row("", "%s, signed by key %s", asked.Plan, strings.Join(asked.SignedBy, ", "))
		}
	}
	o := a.Image
	if o == nil {
		return
	}
	t.row("image", "%s %s (%s)", o.Name, o.Version, o.Repository)
	if o.Index != "" {
		t.row("  index", "%s", o.Index)
	}
	t.row("  manifest", "%s", o.Manifest)
	for _, layer := range o.Layers {
		t.row("  layer", "%s", layer)
	}
	for _, file := range o.Files {
		same := "as on disk"
		if file.Found != file.Expected {
			same = "ON DISK: " + file.Found
		}
		t.row("  file", "%s sha256:%s, %s", file.Path, file.Expected, same)
	}
	if o.Lock != "" {
		t.row("lock", "%s, signed by key %s (%s)", o.Lock, o.LockKey, o.LockFile)
	}
	switch {
	case o.Module != "":
		t.row("source", "%s %s (%s), built with %s", o.Module, o.Source, o.Sum, o.Toolchain)
	case o.Source != "":
		t.row("source", "%s", o.Source)
	}
	if len(a.UsedBy) > 0 {
		t.row("used by", "%s", strings.Join(a.UsedBy, ", "))
	}
}

func from(controlPlane string) string {
	if controlPlane == "" {
		return ""
	}
	return " of " + controlPlane
}

// unit writes what systemd says.
func (a *Answer) unit(t *table) {
	if u := a.Unit; u != nil {
		since := ""
		if !u.Since.IsZero() {
			since = " since " + u.Since.UTC().Format(time.RFC3339)
		}
		t.row("systemd", "%s, %s (%s)%s, restarts: %d", u.Load, u.Active, u.Sub, since, u.Restarts)
		if u.Text != "" {
			t.row("says", "%s", u.Text)
		}
	}
	for _, wait := range a.Waits {
		t.row("waits for", "%s %s: %s", wait.For, wait.On, wait.Last)
	}
	if e := a.Exit; e != nil {
		t.row("last exit", "%s %s at %s: %s", e.Kind, e.Status, e.Time.UTC().Format(time.RFC3339), e.Meaning)
	}
}

// WriteLine writes a line of a log; with its unit when several are mixed.
func WriteLine(w io.Writer, line unitlog.Line, withUnit bool) error {
	unit := ""
	if withUnit {
		unit = line.Unit + " "
	}
	_, err := fmt.Fprintf(w, "%s %s%s[%d]: %s\n", line.Time.Format("2006-01-02T15:04:05.000Z"), unit, line.By, line.PID, line.Message)
	return err
}
