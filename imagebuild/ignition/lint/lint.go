package lint

import (
	"fmt"

	"github.com/coreos/ignition/v2/config/v3_6/types"

	"slipway.build/slipway/imagebuild/ignition"
	"slipway.build/slipway/imagebuild/ignition/config"
	"slipway.build/slipway/imagebuild/ignition/report"
)

// The names of the rules.
const (
	Size   = "size"        // user data must fit into what Nova takes
	Pinned = "pinned"      // what is fetched must have a hash
	Cipher = "luks-cipher" // encrypted volumes must name cipher and key size
	Secret = "secret"      // no private keys and no tokens but the join token
	Unpack = "contents"    // contents must be what their fields say
)

// maxDepth bounds how deep configurations may lie in one another.
const maxDepth = 8

// Validate parses a configuration and checks it by all rules, and with it the configurations that
// lie in it as data URLs. The limit is that of the size in bytes; 0 for ignition.MaxSize, below 0
// for none.
func Validate(file string, data []byte, limit int) report.Entries {
	return validate(file, data, limit, maxDepth)
}

func validate(file string, data []byte, limit, depth int) report.Entries {
	if limit == 0 {
		limit = ignition.MaxSize
	}
	c, entries := config.Parse(file, data)
	if limit > 0 && len(data) > limit {
		entries = append(entries, report.Entry{File: file, Line: 1, Column: 1, Level: report.Error, Rule: Size,
			Message: fmt.Sprintf("%d bytes, and Nova takes at most %d of user data", len(data), limit)})
	}
	if entries.Err(true) == nil || len(data) > limit {
		entries = append(entries, check(file, data, c, depth)...)
	}
	return entries.Sort()
}

// Check applies the rules to a configuration that has been parsed, without the size. The text is
// only for the places of what is found.
func Check(file string, text []byte, c types.Config) report.Entries {
	return check(file, text, c, maxDepth).Sort()
}

func check(file string, text []byte, c types.Config, depth int) report.Entries {
	l := linter{file: file, text: text}
	for _, r := range config.Resources(&c) {
		l.resource(r, depth)
	}
	for i, v := range c.Storage.Luks {
		l.cipher(i, v)
	}
	l.secrets(&c)
	return l.entries
}

type linter struct {
	file    string
	text    []byte
	entries report.Entries
}

func (l *linter) add(level report.Level, rule string, at []any, format string, a ...any) {
	l.entries = append(l.entries, config.Place(report.Entry{Level: level, Rule: rule, Message: fmt.Sprintf(format, a...)}, l.file, l.text, at...))
}

func field(at []any, name ...any) []any { return append(at[:len(at):len(at)], name...) }

func (l *linter) resource(r config.Resource, depth int) {
	source, compression := *r.Source, ""
	if r.Compression != nil {
		compression = *r.Compression
	}
	if config.Remote(source) {
		if r.Verification.Hash == nil || *r.Verification.Hash == "" {
			l.add(report.Error, Pinned, field(r.Path, "source"), "%s is fetched without a hash; add verification.hash: sha256-...", redact(source))
		}
		return
	}
	b, err := config.Contents(source, compression)
	if err != nil {
		l.add(report.Error, Unpack, field(r.Path, "source"), "%v", err)
		return
	}
	if hash := r.Verification.Hash; hash != nil && *hash != "" {
		if err := verify(b, *hash); err != nil {
			l.add(report.Error, Unpack, field(r.Path, "verification", "hash"), "%v", err)
		}
	}
	if !r.Config {
		return
	}
	if depth == 0 {
		l.add(report.Error, Unpack, r.Path, "more than %d configurations in one another", maxDepth)
		return
	}
	for _, e := range validate(l.file, b, -1, depth-1) {
		l.add(e.Level, e.Rule, r.Path, "in the configuration there: %s (%s)", e.Message, e.Path)
	}
}
