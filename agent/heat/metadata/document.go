package metadata

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Keys of a document that mean something to the agent.
const (
	deploymentsKey = "deployments"
	settingsKey    = "os-collect-config"
)

// MaxSize bounds a document in bytes.
const MaxSize = 16 << 20

// Document is one JSON object with configuration, as a collector has found it.
type Document struct {
	// Name is the collector's, the file's or the deployment's that it came from; it becomes the
	// name of a file, see ValidName.
	Name string
	// Raw is the object as it was received.
	Raw json.RawMessage

	fields map[string]json.RawMessage
}

// maxName bounds the name of a file, in bytes.
const maxName = 200

// ValidName reports whether a name from outside may be the name of a file: letters, digits and
// _.+:@=- in ASCII, beginning with a letter, a digit or _. Deployments get theirs from templates.
func ValidName(name string) bool {
	for i, c := range []byte(name) {
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '_':
		case i > 0 && strings.IndexByte(".+:@=-", c) >= 0:
		default:
			return false
		}
	}
	return name != "" && len(name) <= maxName
}

// Parse reads a document. Anything but one JSON object of valid UTF-8 is an error.
func Parse(name string, raw []byte) (Document, error) {
	doc := Document{Name: name}
	if len(raw) > MaxSize {
		return doc, fmt.Errorf("metadata %s: %d bytes, more than the limit of %d", name, len(raw), MaxSize)
	}
	if !utf8.Valid(raw) {
		return doc, fmt.Errorf("metadata %s: not UTF-8", name)
	}
	if !ValidName(name) {
		return doc, fmt.Errorf("metadata %q: its name cannot be the name of a file", name)
	}
	if err := json.Unmarshal(raw, &doc.fields); err != nil {
		return doc, fmt.Errorf("metadata %s: not a JSON object: %w", name, err)
	}
	if doc.fields == nil {
		return doc, fmt.Errorf("metadata %s: null, not a JSON object", name)
	}
	doc.Raw = bytes.Clone(raw)
	return doc, nil
}

// Has reports whether the document says anything about its key, were it only null.
func (d Document) Has(key string) bool { _, ok := d.fields[key]; return ok }

// Explode returns the document followed by the configurations of those of its deployments that
// are merged as configuration and not run. What is wrong with one of them is an error beside
// the others.
func (d Document) Explode() ([]Document, []error) {
	docs := []Document{d}
	deployments, errs := ParseDeployments(d.fields[deploymentsKey])
	for _, deployment := range deployments {
		if !deployment.Merged() {
			continue
		}
		doc, err := Parse(deployment.Name, deployment.Config)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		docs = append(docs, doc)
	}
	return docs, errs
}

// RawDeployments returns the list of deployments of several documents as it stands: lists are not
// merged, so the last document that has the key decides, even if it says null.
func RawDeployments(docs []Document) json.RawMessage {
	for i := len(docs) - 1; i >= 0; i-- {
		if docs[i].Has(deploymentsKey) {
			return docs[i].fields[deploymentsKey]
		}
	}
	return nil
}

// Deployments returns the deployments of several documents, and an error for each that cannot be
// used.
func Deployments(docs []Document) ([]Deployment, []error) {
	return ParseDeployments(RawDeployments(docs))
}
