package provenance

import (
	"bytes"
	"encoding/json"
)

// The identifiers of the formats, from the in-toto attestation framework and SLSA, and the two
// of our own. Their meaning is written down in docs/trust.md.
const (
	StatementType = "https://in-toto.io/Statement/v1"
	PredicateType = "https://slsa.dev/provenance/v1"
	MediaType     = "application/vnd.in-toto+json"
	BuildType     = "https://slipway.build/image/v1"
	BuilderID     = "https://slipway.build/images-build"
)

// Statement is an in-toto statement with a SLSA provenance predicate. Field names are those of
// the specifications.
type Statement struct {
	Type          string     `json:"_type"`
	Subject       []Resource `json:"subject"`
	PredicateType string     `json:"predicateType"`
	Predicate     Predicate  `json:"predicate"`
}

// Resource is in-toto's resource descriptor.
type Resource struct {
	Name        string            `json:"name,omitempty"`
	URI         string            `json:"uri,omitempty"`
	Digest      map[string]string `json:"digest,omitempty"`
	MediaType   string            `json:"mediaType,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Predicate is SLSA's provenance, version 1.
type Predicate struct {
	BuildDefinition BuildDefinition `json:"buildDefinition"`
	RunDetails      RunDetails      `json:"runDetails"`
}

// BuildDefinition is everything that decides the result.
type BuildDefinition struct {
	BuildType            string     `json:"buildType"`
	ExternalParameters   Parameters `json:"externalParameters"`
	ResolvedDependencies []Resource `json:"resolvedDependencies"`
}

// Parameters are the parameters of BuildType.
type Parameters struct {
	Image     string   `json:"image"`   // name in the lock
	Version   string   `json:"version"` // of the image
	Platform  string   `json:"platform"`
	Module    string   `json:"module,omitempty"`
	Packages  []string `json:"packages,omitempty"` // main packages, in the order of the recipe
	Flags     []string `json:"flags,omitempty"`    // variables and flags of go build, in order
	Toolchain string   `json:"toolchain"`
	// Debian are the Debian packages whose files are in the image, as "name version".
	Debian []string `json:"debian,omitempty"`
}

// RunDetails is what ran; nothing in it tells two runs apart.
type RunDetails struct {
	Builder Builder `json:"builder"`
}

// Builder is the program that made the image.
type Builder struct {
	ID string `json:"id"`
}

// Bytes returns the statement's JSON form: fields in the order of the types, keys of maps sorted,
// no white space and no escapes for HTML.
func (s *Statement) Bytes() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}
