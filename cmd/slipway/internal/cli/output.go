package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"slipway.build/slipway/cmd/slipway/internal/progress"
)

// outputFormat is the value of -o.
type outputFormat string

// The formats; the zero value is text.
const (
	textOutput outputFormat = "text"
	jsonOutput outputFormat = "json"
)

func (f *outputFormat) String() string {
	if *f == "" {
		return string(textOutput)
	}
	return string(*f)
}

func (f *outputFormat) Set(s string) error {
	switch outputFormat(s) {
	case textOutput, jsonOutput:
		*f = outputFormat(s)
		return nil
	}
	return fmt.Errorf("want text or json")
}

func (f *outputFormat) Type() string { return "format" }

func (a *app) json() bool { return a.output == jsonOutput }

// reporter returns where progress goes: standard error for people, so that standard output
// holds results only; JSON lines on standard output for programs.
func (a *app) reporter() progress.Reporter {
	if a.json() {
		return progress.New(a.Out, progress.JSON)
	}
	return progress.New(a.Err, progress.Auto)
}

// quietReporter is reporter for commands whose standard output is one JSON document: their
// progress goes to standard error.
func (a *app) quietReporter() progress.Reporter {
	if a.json() {
		return progress.New(a.Err, progress.JSON)
	}
	return a.reporter()
}

// printJSON writes v indented.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.Out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printLine writes v as one line of JSON, for commands that write many.
func (a *app) printLine(v any) error {
	e := json.NewEncoder(a.Out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table writes rows under a heading in aligned columns.
func table(w io.Writer, heading []string, rows [][]string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(heading, "\t"))
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	t.Flush()
}

// title writes a Heat status as the paper shows it: CREATE_IN_PROGRESS is "Create In Progress".
func title(status string) string {
	words := strings.Split(strings.ToLower(status), "_")
	for i, w := range words {
		if w != "" {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, " ")
}

// ago writes how long ago something was, in its largest unit.
func ago(d time.Duration) string {
	unit := func(n int, name string) string {
		if n == 1 {
			return "1 " + name
		}
		return fmt.Sprintf("%d %ss", n, name)
	}
	switch {
	case d < 0:
		return "0 seconds"
	case d < 2*time.Minute:
		return unit(int(d.Seconds()), "second")
	case d < 2*time.Hour:
		return unit(int(d.Minutes()), "minute")
	case d < 48*time.Hour:
		return unit(int(d.Hours()), "hour")
	case d < 60*24*time.Hour:
		return unit(int(d.Hours()/24), "day")
	default:
		return unit(int(d.Hours()/24/30), "month")
	}
}
