package redact_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"slipway.build/slipway/agent/redact"
)

// secretOf are the secrets that are put into foreign text, each with the part that must not be
// seen afterwards.
func secretOf() map[string]string {
	const random = "Zk9xQ2vT7bLr3mNp8sWd"
	header, footer := "-----BEGIN "+"EC PRIVATE KEY-----", "-----END "+"EC PRIVATE KEY-----"
	return map[string]string{
		"one-time-" + random:                         random, // a literal, such as the join token
		header + "\n" + random + "\n" + footer:       random,
		"Authorization: Bearer " + random:            random,
		"bearer " + random:                           random,
		"https://user:" + random + "@registry:5000/": random,
		"password=" + random:                         random,
		`"token": "` + random + `"`:                  random,
		"client-secret: " + random:                   random,
	}
}

// FuzzNoSecretSurvives puts secrets between foreign texts: whatever is around them, they go, and
// redacting once more changes nothing that was left.
func FuzzNoSecretSurvives(f *testing.F) {
	f.Add("", "")
	f.Add("time=now msg=", " and so on\nnext line")
	f.Add("password", "://x@y")
	f.Add("\xff\xfe", "-----END PRIVATE KEY-----")
	f.Add("basic ", "=\n")
	f.Fuzz(func(t *testing.T, before, after string) {
		for secret, hidden := range secretOf() {
			if strings.Contains(before, hidden) || strings.Contains(after, hidden) {
				continue
			}
			// A secret stands for itself: what runs into it is part of it, or breaks its form.
			got := redact.Text(before+"\n"+secret+"\n"+after, "one-time-"+hidden)
			if strings.Contains(got, hidden) {
				t.Errorf("%q between %q and %q leaves %q", secret, before, after, got)
			}
		}
	})
}

// TestSecretsGoWhereverTheyStand puts secrets at random places of random words.
func TestSecretsGoWhereverTheyStand(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	words := []string{"error", "token", "the", "=", ":", "https://", "@", "\n", "\t", "BEGIN", "key", "é", "\x00", "bearer", "-----", "{", "}", `"`}
	for range 3000 {
		var text strings.Builder
		var hidden []string
		for secret, part := range secretOf() {
			for range random.IntN(12) {
				text.WriteString(words[random.IntN(len(words))] + " ")
			}
			text.WriteString("\n" + secret + "\n")
			hidden = append(hidden, part)
		}
		got := redact.Text(text.String(), "one-time-"+hidden[0])
		if strings.Contains(got, hidden[0]) {
			t.Fatalf("%q is left in %q", hidden[0], got)
		}
	}
}
