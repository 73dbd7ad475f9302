package release

import "io"

// WriteProposals writes a plan for people: what would change, what to do for it, and what is not known.
func WriteProposals(w io.Writer, all []Proposal) error {
	t := &writer{to: w}
	same := 0
	for _, p := range all {
		switch {
		case p.Unresolved != "":
			t.line("%s: %s %s stays %s: %s", words(p.Images), p.Kind, p.Source, orUnresolved(p.Current), p.Unresolved)
		case p.Proposed != "":
			t.line("%s: %s %s goes from %s to %s", words(p.Images), p.Kind, p.Source, orUnresolved(p.Current), p.Proposed)
			if p.Sum != "" {
				t.line("  %s", p.Sum)
			}
		case p.Newest == "":
			same++
		}
		if p.Newest != "" {
			t.line("%s: %s %s has a later series, up to %s", words(p.Images), p.Kind, p.Source, p.Newest)
		}
		for _, e := range p.Edits {
			t.line("  %s", e)
		}
	}
	t.line("%d sources were looked at; %d are the newest of all.", len(all), same)
	return t.err
}

func orUnresolved(current string) string {
	if current == "" {
		return "unresolved"
	}
	return current
}
