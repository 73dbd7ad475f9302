package report

import "slipway.build/slipway/ci/scan"

// The names of facts that stages keep; a stage has each at most once.
const (
	ArtifactsFact = "artifacts" // []Artifact
	TestsFact     = "tests"     // Tests
	ScanFact      = "scan"      // Scan
	SignatureFact = "signature" // Signature
	PublishedFact = "published" // Published
	LockFact      = "lock"      // Lock
	ChecksFact    = "checks"    // []Check
)

// Artifact is one thing that was built.
type Artifact struct {
	Kind      string `json:"kind"` // "image", "program" or "os"
	Name      string `json:"name"`
	Version   string `json:"version,omitempty"`
	Platform  string `json:"platform,omitempty"`
	Source    string `json:"source,omitempty"` // module@version, or where else it is from
	Sum       string `json:"sum,omitempty"`    // h1 sum of the module
	Toolchain string `json:"toolchain,omitempty"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"` // bytes as it travels
}

// Tests are the counts of one suite.
type Tests struct {
	Suite  string `json:"suite"`
	Wanted int    `json:"wanted,omitempty"` // how many had to run; 0 where nobody says
	Passed int    `json:"passed"`
	Failed int    `json:"failed"` // and nobody expected it
	// Expected are those that failed, as somebody has written down with a reason.
	Expected int `json:"expected,omitempty"`
	Skipped  int `json:"skipped"`
	// Cases are those that did not pass.
	Cases []Case `json:"cases,omitempty"`
}

// Case is one test that failed or was skipped.
type Case struct {
	Name     string `json:"name"`
	State    string `json:"state"` // "failed", "skipped" or "expected"
	Reason   string `json:"reason,omitempty"`
	Expected string `json:"expected,omitempty"` // why a failure is no surprise
}

// Scan is what was looked at for vulnerabilities, and found.
type Scan struct {
	Database scan.Database `json:"database"`
	Scanner  string        `json:"scanner"`
	Programs int           `json:"programs"` // binaries that were scanned
	scan.Judgement
}

// Signature is the lock's.
type Signature struct {
	Lock   string `json:"lock"` // digest
	Number int64  `json:"number"`
	Key    string `json:"key"`  // id
	Kind   string `json:"kind"` // "local" or "release"
}

// Published is where everything went.
type Published struct {
	Where string `json:"where"`
	Blobs int    `json:"blobs"` // that were not there before
	Bytes int64  `json:"bytes"`
	Tags  int    `json:"tags"`
}

// Check is one thing that was looked at and was right.
type Check struct {
	What   string `json:"what"`
	Detail string `json:"detail,omitempty"`
}
