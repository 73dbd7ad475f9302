package units

import "strings"

// Render returns the text of u: sections and options in their order, one blank line between
// sections, nothing else. Equal units have equal texts. The error is Validate's.
func (u Unit) Render() (string, error) {
	if err := u.Validate(); err != nil {
		return "", err
	}
	var b strings.Builder
	for i, s := range u.Sections {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString("[" + s.Name + "]\n")
		for _, o := range s.Options {
			b.WriteString(o.Name + "=" + o.Value + "\n")
		}
	}
	return b.String(), nil
}
