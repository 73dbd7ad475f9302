package release

import "slipway.build/slipway/imagebuild/lock"

// The forms of texts that lock.Validate checks without a regular expression.
const (
	wordForm = `^[^\x00-\x20\x7f]+$` // one line without white space
	lineForm = `^[^\x00-\x1f\x7f]+$` // one line
	dayForm  = `^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`
	timeForm = `^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$`
	// Path elements are not empty, and neither "." nor "..".
	pathForm = `^` + elementForm + `(/` + elementForm + `)*$`
	debForm  = `^(([^./][^/]*|\.[^./][^/]*|\.\.[^/]+)/)*[^/]*\.deb$`

	elementForm = `([^./\\\x00][^/\\\x00]*|\.[^./\\\x00][^/\\\x00]*|\.\.[^/\\\x00]+)`
)

// field is what the schema says of a field beside its type.
type field struct {
	description string
	form        string // of a text, or of each text of a list
	constant    string
	minimum     int64
	minItems    int
}

// schemaFields describes every field of a lock, by type and name.
func schemaFields() map[string]field {
	text := func(form, description string) field { return field{form: form, description: description} }
	number := func(minimum int64, description string) field {
		return field{minimum: minimum, description: description}
	}
	list := func(minItems int, form, description string) field {
		return field{minItems: minItems, form: form, description: description}
	}
	return map[string]field{
		"Lock.schema":    {constant: lock.Schema, description: "Version of this schema."},
		"Lock.number":    number(1, "Grows with every lock that is issued; nodes go to no lower one."),
		"Lock.issued":    text(timeForm, "Begin of the time in which the lock may be newly applied: RFC 3339, UTC, whole seconds."),
		"Lock.expires":   text(timeForm, "End of that time. What runs goes on."),
		"Lock.toolchain": text(lock.ToolchainForm, "The exact Go toolchain of all builds."),
		"Lock.images":    list(0, "", "Sorted by name, then by version; both together are unique."),
		"Lock.accepted":  list(0, "", "Findings that the issuer knows of and lives with."),

		"Acceptance.rule":   text(wordForm, "Name of a rule of `slipway images lock check`."),
		"Acceptance.image":  text(wordForm, "Name, or name@version."),
		"Acceptance.reason": text(lineForm, "Why the finding is not held against the lock."),
		"Acceptance.until":  text(dayForm, "The last day on which it is not."),

		"Image.name":       text(lock.NameForm, "Name of the image."),
		"Image.version":    text(lock.TagForm, "Version of what is in it; it is the image's tag."),
		"Image.repository": text(lock.RepositoryForm, "Path in a registry."),
		"Image.source":     {description: "Where its bytes come from."},
		"Image.kubernetes": list(0, lock.MinorForm, "The Kubernetes minors that it fits; none means all."),
		"Image.supported":  text(dayForm, "Last day of upstream's support."),
		"Image.index":      text(lock.DigestForm, "Digest of the image index."),
		"Image.platforms":  list(1, "", "Sorted by name."),
		"Image.unresolved": text(lineForm, "Why no digest is known; such an image never runs."),
		"Image.hostTools":  list(0, wordForm, "Programs that it expects of the node OS."),
		"Image.system":     text(lineForm, "Why a system is beneath the program in the image."),

		"Source.module":    text(wordForm, "Path of a Go module."),
		"Source.version":   text(wordForm, "Version of the module."),
		"Source.sum":       text(lock.SumForm, "Sum of the module's zip, as in go.sum."),
		"Source.packages":  list(1, wordForm, "Main packages that were built."),
		"Source.flags":     list(0, lineForm, "Settings and flags of the build, in order."),
		"Source.goSum":     text(lock.DigestForm, "Digest of the build module's go.sum, which pins every dependency."),
		"Source.reference": text(wordForm, "Upstream reference of an image that is not built from source."),

		"Platform.platform": text(lock.PlatformForm, "Operating system and architecture."),
		"Platform.manifest": text(lock.DigestForm, "Digest of the manifest that nodes fetch."),
		"Platform.size":     number(0, "Bytes of that manifest."),
		"Platform.config":   text(lock.DigestForm, "Digest of the image configuration."),
		"Platform.layers":   list(1, "", "In the order in which they are applied."),
		"Platform.files":    list(1, "", "Sorted by path; checked before each start."),
		"Platform.gzip":     {description: "The same image for clients that do not read zstd."},
		"Platform.debian":   list(0, "", "Packages whose files are in the image."),
		"Platform.evidence": {description: "Digests of what is said about the image."},

		"Form.manifest": text(lock.DigestForm, "Digest of the manifest."),
		"Form.size":     number(1, "Bytes of the manifest."),
		"Form.layers":   list(1, "", "In the order in which they are applied."),

		"Package.name":    text(wordForm, "Name of a Debian package."),
		"Package.version": text(wordForm, "Its version."),
		"Package.path":    text(debForm, "Path of the file beneath an archive."),
		"Package.sha256":  text(lock.HexForm, "Sum of the file."),

		"Evidence.spdx":       text(lock.DigestForm, "Digest of the SPDX document."),
		"Evidence.cyclonedx":  text(lock.DigestForm, "Digest of the CycloneDX document."),
		"Evidence.provenance": text(lock.DigestForm, "Digest of the in-toto statement with SLSA v1 provenance."),

		"Layer.digest": text(lock.DigestForm, "Digest of the blob as it travels."),
		"Layer.diffID": text(lock.DigestForm, "Digest of the tar stream."),
		"Layer.size":   number(1, "Bytes of the blob as it travels."),

		"Binary.path":   text(pathForm, "Relative path in the image."),
		"Binary.sha256": text(lock.HexForm, "Sum of the file."),
		"Binary.size":   number(1, "Bytes of the file."),
	}
}
