package junit

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// itPrefix is how Ginkgo marks a test among a suite's own steps.
const itPrefix = "[It] "

// test reads a testcase.
func (p *parser) test(start xml.StartElement) error {
	if len(p.found.Tests) == MaxTests {
		return ErrTooLarge
	}
	t := Test{Name: strings.TrimPrefix(attribute(start, "name"), itPrefix), Outcome: Passed}
	if t.Name == "" {
		return errors.New("a testcase has no name")
	}
	if len(t.Name) > MaxName {
		return ErrTooLarge
	}
	var err error
	if t.Took, err = seconds(attribute(start, "time")); err != nil {
		return fmt.Errorf("test %.100q: %w", t.Name, err)
	}
	if err := p.outcome(&t); err != nil {
		return err
	}
	if status := attribute(start, "status"); !agrees(status, t.Outcome) {
		return fmt.Errorf("test %.100q has status %.20q, but what is in it says %s", t.Name, status, t.Outcome)
	}
	p.found.Tests = append(p.found.Tests, t)
	return nil
}

// outcome reads what is in a testcase.
func (p *parser) outcome(t *Test) error {
	for {
		child, err := p.next()
		if err != nil || child == nil {
			return err
		}
		switch child.Name.Local {
		case "failure", "error":
			t.Outcome = Failed
			text, err := p.text()
			if err != nil {
				return err
			}
			if t.Reason == "" { // Kubernetes' reports have it in the element, others in the attribute
				t.Reason = shorten(cmp.Or(attribute(*child, "message"), text))
			}
			continue
		case "skipped":
			if t.Outcome == Passed {
				t.Outcome = Skipped
			}
		}
		if err := p.skip(); err != nil {
			return err
		}
	}
}

// agrees holds Ginkgo's own word for a test's state against the elements that are in it. Other
// tools write no such word.
func agrees(status string, o Outcome) bool {
	switch status {
	case "":
		return true
	case "passed":
		return o == Passed
	case "skipped", "pending":
		return o == Skipped
	default: // failed, panicked, timedout, interrupted, aborted
		return o == Failed
	}
}

func seconds(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	s, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(s) || s < 0 || s > (365*24*time.Hour).Seconds() {
		return 0, fmt.Errorf("time %.30q is no number of seconds", text)
	}
	return time.Duration(s * float64(time.Second)), nil
}

// shorten keeps a reason's beginning, on one line.
func shorten(s string) string {
	if len(s) > MaxReason {
		s = strings.ToValidUTF8(s[:MaxReason], "")
	}
	return strings.Join(strings.Fields(s), " ")
}
