// Package redact takes secrets out of text that leaves the node.
package redact

import (
	"regexp"
	"strings"
)

// Mask stands where a secret was.
const Mask = "[redacted]"

// Patterns of what is secret by its form: PEM private keys, bearer tokens, passwords in URLs,
// and values after words that name a secret.
const (
	pemKeys   = `(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`
	bearer    = `(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}`
	urlSecret = `([a-z][a-z0-9+.-]*://[^/\s:@]+):[^@/\s]+@`
	assigned  = `(?i)\b([a-z0-9_.-]*(?:password|passwd|token|secret|api[_-]?key))("?\s*[:=]\s*"?)[^\s"',;]+`
)

// minLiteral is the length from which a literal counts as a secret worth replacing; shorter
// ones would blacken ordinary words.
const minLiteral = 6

// Text returns text without PEM private keys, credentials and the literals given.
func Text(text string, literals ...string) string {
	for _, literal := range literals {
		if len(literal) >= minLiteral {
			text = strings.ReplaceAll(text, literal, Mask)
		}
	}
	text = regexp.MustCompile(pemKeys).ReplaceAllString(text, Mask)
	text = regexp.MustCompile(bearer).ReplaceAllString(text, "$1 "+Mask)
	text = regexp.MustCompile(urlSecret).ReplaceAllString(text, "$1:"+Mask+"@")
	return regexp.MustCompile(assigned).ReplaceAllString(text, "$1$2"+Mask)
}
