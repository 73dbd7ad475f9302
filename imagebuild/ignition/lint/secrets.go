package lint

import (
	"regexp"
	"strings"

	"github.com/coreos/ignition/v2/config/v3_6/types"
	"go.yaml.in/yaml/v3"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/imagebuild/ignition/config"
	"slipway.build/slipway/imagebuild/ignition/report"
)

// pattern is a form that secrets have. What it finds is never shown.
type pattern struct {
	what string
	re   *regexp.Regexp
}

// patterns are those that configurations are searched for.
func patterns() []pattern {
	return []pattern{
		{"a private key", regexp.MustCompile(`-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----`)},
		{"an age key", regexp.MustCompile(`AGE-SECRET-KEY-1[0-9A-Z]{20,}`)},
		{"a JSON web token", regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+`)},
		{"an access key", regexp.MustCompile(`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b`)},
		{"a token of a code host", regexp.MustCompile(`\b(?:gh[pousr]_[A-Za-z0-9]{30,}|glpat-[A-Za-z0-9_-]{20,})`)},
		{"a bootstrap token", regexp.MustCompile(`\b[a-z0-9]{6}\.[a-z0-9]{16}\b`)},
		{"an authorization", regexp.MustCompile(`(?i)\b(?:bearer|basic)\s+[A-Za-z0-9+/_=.-]{16,}`)},
		{"a token or password", regexp.MustCompile(`(?im)(?:^|[^a-z])(?:[a-z0-9]+[_-])*(?:token|password|passwd|secret|secret[_-]?key|api[_-]?key|application_credential_secret)["']?[ \t]*[:=][ \t]*["']?[^\s"'$<{(,;]{6,}`)},
	}
}

// find names the first secret in a text, or returns "".
func find(all []pattern, text string) string {
	for _, p := range all {
		if p.re.MatchString(text) {
			return p.what
		}
	}
	return ""
}

// secrets warns of every field that carries what looks like a secret.
func (l *linter) secrets(c *types.Config) {
	all := patterns()
	look := func(text, where string, at ...any) {
		if what := find(all, text); what != "" {
			l.add(report.Warning, Secret, at, "%s has what looks like %s; pods can read user data: let the agent fetch it", where, what)
		}
	}
	for _, r := range config.Resources(c) {
		for i, h := range r.HTTPHeaders {
			if h.Value != nil {
				look(h.Name+": "+*h.Value, "the header "+h.Name, field(r.Path, "httpHeaders", i, "value")...)
			}
		}
		compression := ""
		if r.Compression != nil {
			compression = *r.Compression
		}
		if b, err := config.Contents(*r.Source, compression); err == nil && !r.Config {
			where := "what it holds"
			if r.Owner != "" {
				where = r.Owner
			}
			look(withoutJoinToken(r.Owner, b), where, field(r.Path, "source")...)
		}
	}
	for i, u := range c.Systemd.Units {
		if u.Contents != nil {
			look(*u.Contents, u.Name, "systemd", "units", i, "contents")
		}
		for j, d := range u.Dropins {
			if d.Contents != nil {
				look(*d.Contents, u.Name+"/"+d.Name, "systemd", "units", i, "dropins", j, "contents")
			}
		}
	}
	for i, arg := range c.KernelArguments.ShouldExist {
		look(string(arg), "a kernel argument", "kernelArguments", "shouldExist", i)
	}
}

// withoutJoinToken takes the one-time token out of the agent's configuration, where it belongs.
func withoutJoinToken(path string, b []byte) string {
	text := string(b)
	if path != plan.AgentConfig {
		return text
	}
	var agent protocol.AgentConfig
	if err := yaml.Unmarshal(b, &agent); err == nil && agent.Token != "" {
		text = strings.Replace(text, agent.Token, "", 1)
	}
	return text
}

// Secrets reports whether a file's contents look like something that should not be read by others.
func Secrets(path string, contents []byte) bool {
	return path == plan.AgentConfig || find(patterns(), string(contents)) != ""
}
