package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"
	"time"

	"slipway.build/slipway/ci/pipeline"
)

//go:embed page.html
var pageText string

//go:embed page.css
var styleText string

// HTML returns the report as one page that needs nothing but itself. Everything that comes from
// elsewhere is escaped.
func (r *Report) HTML() ([]byte, error) {
	page, err := template.New("page").Funcs(template.FuncMap{
		"style": func() template.CSS { return template.CSS(styleText) },
		"took":  func(s float64) string { return took(time.Duration(s * float64(time.Second))) },
		"bytes": size, "change": change, "short": short, "mark": mark, "word": word, "share": share,
		"graph": func() graph { return layout(r.Stages) }, "title": (*Report).Title, "join": strings.Join,
		"day": func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") },
	}).Parse(pageText)
	if err != nil {
		return nil, fmt.Errorf("the report's page: %w", err)
	}
	var b bytes.Buffer
	if err := page.Execute(&b, r); err != nil {
		return nil, fmt.Errorf("the report's page: %w", err)
	}
	return b.Bytes(), nil
}

// Title says in one line what the run came to.
func (r *Report) Title() string {
	failed, unproven := 0, 0
	for _, c := range r.Causes {
		if c.State == pipeline.Failed {
			failed++
		} else {
			unproven++
		}
	}
	switch {
	case failed == 1:
		return r.Causes[0].Stage + " failed"
	case failed > 1:
		return fmt.Sprintf("%d stages failed", failed)
	case unproven == 1:
		return "Nothing failed, " + r.Causes[0].Stage + " is unproven"
	case unproven > 1:
		return fmt.Sprintf("Nothing failed, %d stages are unproven", unproven)
	case len(r.Stages) == 0:
		return "Nothing was run"
	}
	return fmt.Sprintf("All %d stages held", len(r.Stages))
}

func mark(s pipeline.State) string {
	switch s {
	case pipeline.Done, pipeline.Cached:
		return "✓"
	case pipeline.Failed:
		return "✗"
	case pipeline.Blocked:
		return "–"
	}
	return "?"
}

// word is a state as people read it.
func word(s pipeline.State) string {
	switch s {
	case pipeline.Done:
		return "held"
	case pipeline.Cached:
		return "held before"
	case pipeline.Blocked:
		return "stopped"
	}
	return string(s)
}

func took(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour:
		d = d.Round(time.Second)
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	d = d.Round(time.Minute)
	return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
}

// size writes bytes in the binary unit that leaves at least one digit before the point.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}

// change says how a size differs from before.
func change(b Built) string {
	switch {
	case b.Before == nil:
		return "new"
	case b.Before.Digest == b.Digest:
		return "the same"
	case b.Before.Size == b.Size:
		return "other bytes, same size"
	}
	sign, n := "+", b.Size-b.Before.Size
	if n < 0 {
		sign, n = "−", -n
	}
	text := sign + size(n)
	if b.Before.Size > 0 {
		text += fmt.Sprintf(" (%s%.1f %%)", sign, 100*float64(n)/float64(b.Before.Size))
	}
	if b.Before.Version != b.Version {
		text += " since " + b.Before.Version
	}
	return text
}

// short shows enough of a digest to compare it by eye; the page has the whole one as well.
func short(digest string) string {
	hex := strings.TrimPrefix(digest, "sha256:")
	if len(hex) > 12 {
		return hex[:12]
	}
	return hex
}

// share is a stage's part of the longest one's time, in thousandths, at least one.
func share(r *Report, s Stage) int {
	longest := 0.0
	for _, o := range r.Stages {
		longest = max(longest, o.Seconds)
	}
	if longest == 0 || s.Seconds == 0 {
		return 0
	}
	return max(4, int(1000*s.Seconds/longest))
}
