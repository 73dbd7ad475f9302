package release

import (
	"fmt"
	"io"
	"strings"
)

// words joins texts for a sentence.
func words(all []string) string { return strings.Join(all, ", ") }

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d bytes", n)
}

// WriteText writes the delta in words.
func (d *Delta) WriteText(w io.Writer) error {
	t := &writer{to: w}
	if d.From.Digest == d.To.Digest {
		t.line("Both are lock %d, %s.", d.From.Number, d.From.Digest)
		return t.err
	}
	t.line("From lock %d, %s", d.From.Number, d.From.Digest)
	t.line("  to lock %d, %s", d.To.Number, d.To.Digest)
	if len(d.Images) == 0 {
		t.line("No image differs.")
	}
	for _, c := range d.Images {
		t.line("  %s", c)
	}
	for _, n := range d.Nodes {
		n.write(t)
	}
	if d.Unknown != "" {
		t.line("What nodes do is not known: %s", d.Unknown)
	}
	return t.err
}

func (n *NodeDelta) write(t *writer) {
	way := "stays on " + n.To
	if n.From != n.To {
		way = "goes from " + n.From + " to " + n.To
	}
	t.line("A %s (%s) that %s", n.Role, n.Platform, way)
	if len(n.Fetch.Images) == 0 {
		t.line("  fetches nothing")
	} else {
		t.line("  fetches %s, and has %s of its layers already:", size(n.Fetch.Bytes), size(n.Fetch.Present))
	}
	for _, i := range n.Fetch.Images {
		reused := map[string]int{}
		for _, l := range i.Layers {
			reused[l.Reuse]++
		}
		note := ""
		switch {
		case i.Present > 0 && reused["files"] > 0:
			note = fmt.Sprintf("; %s are there, file by file", size(i.Present))
		case i.Present > 0:
			note = fmt.Sprintf("; %s are there", size(i.Present))
		}
		t.line("    %s: %s%s", i.Image, size(i.Bytes), note)
	}
	for _, units := range []struct {
		what  string
		names []string
	}{{"stops", n.Stop}, {"restarts", n.Restart}, {"starts", n.Start}} {
		if len(units.names) > 0 {
			t.line("  %s %s", units.what, words(units.names))
		}
	}
	if len(n.Stop)+len(n.Restart)+len(n.Start) == 0 {
		t.line("  restarts nothing")
	}
}

// writer writes lines and keeps the first error.
type writer struct {
	to  io.Writer
	err error
}

func (t *writer) line(format string, a ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.to, format+"\n", a...)
	}
}
