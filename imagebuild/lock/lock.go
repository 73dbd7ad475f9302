package lock

// Schema is the only schema identifier that this package accepts.
const Schema = "slipway.build/images/v2"

// Lock is the whole of images.yaml. Canonical bytes are its JSON form with sorted keys and no
// white space; the YAML file is a rendering of the same value for people.
type Lock struct {
	Schema string `json:"schema"`
	// Number grows with every lock that is issued; a node refuses a lock with a lower number than
	// one that it has accepted or that is baked into its OS layer.
	Number int64 `json:"number"`
	// Issued and Expires bound the time in which the lock may be newly applied: RFC 3339, UTC, whole
	// seconds. What runs already goes on after Expires.
	Issued  string `json:"issued"`
	Expires string `json:"expires"`
	// Toolchain is the exact Go toolchain of all builds, such as "go1.26.7".
	Toolchain string `json:"toolchain"`
	// Images are sorted by name, then by version; both together are unique.
	Images []Image `json:"images"`
	// Accepted are findings about this lock that its issuer knows of and lives with.
	Accepted []Acceptance `json:"accepted,omitempty"`
}

// Acceptance is one finding that is not held against a lock until a day.
type Acceptance struct {
	Rule   string `json:"rule"`  // "support"
	Image  string `json:"image"` // name, or name@version: "kube-apiserver@v1.34.4"
	Reason string `json:"reason"`
	Until  string `json:"until"` // the last day: "2027-01-31"
}

// Image is one component image for all its platforms.
type Image struct {
	Name       string `json:"name"`       // "kube-apiserver"
	Version    string `json:"version"`    // "v1.36.3"
	Repository string `json:"repository"` // path in a registry: "slipway/kube-apiserver"
	Source     Source `json:"source"`
	// Kubernetes lists the minors that the image fits ("1.36"); empty fits all.
	Kubernetes []string `json:"kubernetes,omitempty"`
	// Supported is the last day of upstream's support ("2027-06-28"); empty where upstream names none.
	Supported string `json:"supported,omitempty"`
	// Index is the digest of the image index, empty until it was computed.
	Index string `json:"index,omitempty"`
	// Platforms are sorted by name.
	Platforms []Platform `json:"platforms,omitempty"`
	// Unresolved says why no digest is known; such an image never runs.
	Unresolved string `json:"unresolved,omitempty"`
	// HostTools are programs that the component expects of the node OS.
	HostTools []string `json:"hostTools,omitempty"`
	// System says why there is a system beneath the program in the image; empty where there is none.
	System string `json:"system,omitempty"`
}

// Source is where an image's bytes come from: a Go module, or an upstream reference.
type Source struct {
	Module   string   `json:"module,omitempty"`  // k8s.io/kubernetes
	Version  string   `json:"version,omitempty"` // v1.36.3
	Sum      string   `json:"sum,omitempty"`     // h1:… of the module zip
	Packages []string `json:"packages,omitempty"`
	Flags    []string `json:"flags,omitempty"` // build flags, in the order given
	// GoSum is the digest (sha256:…) of the build module's go.sum: it pins every dependency.
	GoSum     string `json:"goSum,omitempty"`
	Reference string `json:"reference,omitempty"`
}

// Platform is one platform's manifest and what is in it.
type Platform struct {
	Platform string `json:"platform"` // "linux/amd64"
	// Manifest is the digest of the platform manifest that nodes fetch, whose layers are zstd.
	Manifest string   `json:"manifest"`
	Size     int64    `json:"size,omitempty"` // bytes of that manifest
	Config   string   `json:"config"`         // digest of the image configuration
	Layers   []Layer  `json:"layers"`
	Files    []Binary `json:"files"`
	// Gzip is the same image for clients that do not read zstd.
	Gzip Form `json:"gzip,omitzero"`
	// Debian are the packages whose files are in the image.
	Debian []Package `json:"debian,omitempty"`
	// Evidence are the digests of what is said about the image, as blobs of referrers to the index.
	Evidence Evidence `json:"evidence,omitzero"`
}

// Form is one more manifest over the same configuration.
type Form struct {
	Manifest string  `json:"manifest"`
	Size     int64   `json:"size"` // bytes of the manifest
	Layers   []Layer `json:"layers"`
}

// Package is one Debian package, by the sum of its .deb file.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Path    string `json:"path"`   // beneath an archive: "pool/main/b/bird/bird_1.6.8-2.1_amd64.deb"
	SHA256  string `json:"sha256"` // hex, no prefix
}

// Evidence are digests of statements about one platform's image.
type Evidence struct {
	SPDX       string `json:"spdx,omitempty"`
	CycloneDX  string `json:"cyclonedx,omitempty"`
	Provenance string `json:"provenance,omitempty"` // in-toto statement, SLSA v1 predicate
}

// Layer is one layer blob as it travels and as it unpacks.
type Layer struct {
	Digest string `json:"digest"` // of the compressed blob
	DiffID string `json:"diffID"` // of the tar stream
	Size   int64  `json:"size"`   // bytes, compressed
}

// Binary is one file in the image, as it is checked before each start.
type Binary struct {
	Path   string `json:"path"`   // relative: "usr/bin/kube-apiserver"
	SHA256 string `json:"sha256"` // hex, no prefix
	Size   int64  `json:"size"`   // bytes
}
