// Package redact takes secrets out of text that leaves the node.
package redact

import (
	"regexp"
	"strings"
	"sync"
)

// Mask stands where a secret was.
const Mask = "[redacted]"

// Patterns of what is secret by its form: PEM private keys, credentials in headers, bearer
// tokens, passwords in URLs, and values after words that name a secret. All but the first are
// looked for line by line.
const (
	pemKeys   = `(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`
	pemTails  = `(?:[A-Za-z0-9+/=]+\s+)+-----END [A-Z ]*PRIVATE KEY-----` // the beginning was cut off
	headers   = `(?i)\b((?:proxy-)?authorization|x-(?:auth|subject|service)-token|(?:set-)?cookie)("?\s*[:=]\s*"?)[^\r\n"]+`
	bearer    = `(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}`
	urlSecret = `([a-z][a-z0-9+.-]*://[^/\s:@]+):[^@/\s]+@`
	assigned  = `(?i)\b([a-z0-9_.-]*(?:password|passwd|token|secret|api[_-]?key))("?\s*[:=]\s*"?)[^\s"',;]+`
)

// minLiteral is the length from which a literal counts as a secret worth replacing; shorter
// ones would blacken ordinary words.
const minLiteral = 6

// rule replaces what a pattern finds in lines that hold one of the words; the words are only
// there to save time, because most lines have none.
type rule struct {
	words       []string // in lower case
	pattern     *regexp.Regexp
	replacement string
}

// rules are compiled when they are first needed: beside each component runs a process of this
// program that never needs them.
var rules = sync.OnceValue(func() []rule {
	return []rule{
		{[]string{"authorization", "-token", "cookie"}, regexp.MustCompile(headers), "$1$2" + Mask},
		{[]string{"bearer", "basic"}, regexp.MustCompile(bearer), "$1 " + Mask},
		{[]string{"://"}, regexp.MustCompile(urlSecret), "$1:" + Mask + "@"},
		{[]string{"password", "passwd", "token", "secret", "api"}, regexp.MustCompile(assigned), "$1$2" + Mask},
	}
})

var (
	privateKey = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pemKeys) })
	keyTail    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pemTails) })
)

// Text returns text without PEM private keys, credentials and the literals given.
func Text(text string, literals ...string) string {
	for _, literal := range literals {
		if len(literal) >= minLiteral {
			text = strings.ReplaceAll(text, literal, Mask)
		}
	}
	if strings.Contains(text, "PRIVATE KEY-----") {
		text = privateKey().ReplaceAllString(text, Mask)
		text = keyTail().ReplaceAllString(text, Mask)
	}
	lower := strings.ToLower(text)
	if !holds(lower, rules()) {
		return text
	}
	var out strings.Builder
	out.Grow(len(text))
	for line := range strings.Lines(text) {
		out.WriteString(redactLine(line))
	}
	return out.String()
}

func redactLine(line string) string {
	lower := strings.ToLower(line)
	for i := range rules() {
		if holds(lower, rules()[i:i+1]) {
			line = rules()[i].pattern.ReplaceAllString(line, rules()[i].replacement)
		}
	}
	return line
}

// holds reports whether text has a word of any of the rules.
func holds(lower string, rules []rule) bool {
	for _, rule := range rules {
		for _, word := range rule.words {
			if strings.Contains(lower, word) {
				return true
			}
		}
	}
	return false
}
