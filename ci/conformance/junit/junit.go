package junit

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Outcome is how a test ended.
type Outcome string

// The outcomes of a test. One that failed in any way, also by time-out, panic or interruption,
// is Failed.
const (
	Passed  Outcome = "passed"
	Failed  Outcome = "failed"
	Skipped Outcome = "skipped"
)

// Test is one test of a report.
type Test struct {
	Name    string        `json:"name"`
	Outcome Outcome       `json:"outcome"`
	Took    time.Duration `json:"took"`
	// Reason is the failure's message, shortened to MaxReason bytes; empty for others.
	Reason string `json:"reason,omitempty"`
}

// Conformance reports whether the test is one of the conformance suite.
func (t Test) Conformance() bool { return strings.Contains(t.Name, "[Conformance]") }

// Report is what a run's report says.
type Report struct{ Tests []Test }

// The bounds of a report. One of a whole run of Kubernetes 1.36 has 7,400 tests in 10 MB.
const (
	MaxBytes  = 64 << 20
	MaxTests  = 100_000
	MaxName   = 4 << 10
	MaxReason = 2 << 10
)

// ErrTooLarge says that a report is beyond one of the bounds.
var ErrTooLarge = errors.New("the JUnit report is larger than any run's")

// ErrTruncated says that a report ends before its last element is closed, or holds none.
var ErrTruncated = errors.New("the JUnit report is empty or cut off: the run did not end by itself")

// Parse reads a report. It is an error if the report is not one, is cut off, or contradicts
// itself: the number of tests that a suite claims has to be the number that it has.
func Parse(r io.Reader) (*Report, error) { return parse(r, MaxBytes) }

func parse(r io.Reader, most int64) (*Report, error) {
	bounded := &io.LimitedReader{R: r, N: most + 1}
	p := parser{dec: xml.NewDecoder(bounded)}
	report, err := p.report()
	if bounded.N <= 0 {
		return nil, ErrTooLarge
	}
	if err != nil {
		line, _ := p.dec.InputPos()
		return nil, fmt.Errorf("line %d: %w", line, err)
	}
	return report, nil
}

type parser struct {
	dec   *xml.Decoder
	found Report
	depth int
}

func (p *parser) report() (*Report, error) {
	root, err := p.next()
	if err != nil {
		return nil, err
	}
	if root == nil || (root.Name.Local != "testsuites" && root.Name.Local != "testsuite") {
		return nil, errors.New("the first element is neither testsuites nor testsuite")
	}
	if err := p.suite(*root); err != nil {
		return nil, err
	}
	if rest, err := p.dec.Token(); err == nil {
		if text, ok := rest.(xml.CharData); !ok || strings.TrimSpace(string(text)) != "" {
			return nil, errors.New("something follows the report's last element")
		}
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return &p.found, nil
}

// next returns the next element's start, or nil at the end of the element around it.
func (p *parser) next() (*xml.StartElement, error) {
	for {
		token, err := p.dec.Token()
		if err != nil {
			return nil, ended(err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			return &t, nil
		case xml.EndElement:
			return nil, nil
		case xml.Directive:
			return nil, errors.New("a document type has no place in a JUnit report")
		}
	}
}

// maxDepth is deeper than suites are ever nested.
const maxDepth = 8

// suite reads a testsuite, or the testsuites around them.
func (p *parser) suite(start xml.StartElement) error {
	if p.depth++; p.depth > maxDepth {
		return ErrTooLarge
	}
	defer func() { p.depth-- }()
	before := len(p.found.Tests)
	for {
		child, err := p.next()
		if err != nil {
			return err
		}
		if child == nil {
			return claimed(start, len(p.found.Tests)-before)
		}
		switch child.Name.Local {
		case "testsuite":
			err = p.suite(*child)
		case "testcase":
			err = p.test(*child)
		default:
			err = p.skip()
		}
		if err != nil {
			return err
		}
	}
}

// claimed holds the number of tests that an element says it has against what was read.
func claimed(suite xml.StartElement, tests int) error {
	text := attribute(suite, "tests")
	if text == "" {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n != tests {
		return fmt.Errorf("%s says that it has %.20q tests, and has %d", suite.Name.Local, text, tests)
	}
	return nil
}

// text passes over an element and returns the beginning of its own text.
func (p *parser) text() (string, error) {
	var all []byte
	for {
		token, err := p.dec.Token()
		if err != nil {
			return "", ended(err)
		}
		switch t := token.(type) {
		case xml.CharData:
			all = append(all, t[:min(len(t), MaxReason+1-min(len(all), MaxReason+1))]...)
		case xml.StartElement:
			if err := p.skip(); err != nil {
				return "", err
			}
		case xml.EndElement:
			return string(all), nil
		}
	}
}

// ended makes the end of the input, wherever it comes, ErrTruncated.
func ended(err error) error {
	var syntax *xml.SyntaxError
	if errors.Is(err, io.EOF) || errors.As(err, &syntax) && strings.Contains(syntax.Msg, "unexpected EOF") {
		return ErrTruncated
	}
	return err
}

// skip passes over an element, whose depth the decoder's stack would otherwise follow.
func (p *parser) skip() error {
	for depth := 1; depth > 0; {
		child, err := p.next()
		if err != nil {
			return err
		}
		if child == nil {
			depth--
		} else if depth++; depth > 64 {
			return ErrTooLarge
		}
	}
	return nil
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
