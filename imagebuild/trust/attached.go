package trust

import (
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/lock"
)

// Attachment is an object in a layout that says something about one that is proved: a signature, a bill of materials,
// provenance, the lock itself. Its digests hold; whether what it says counts is a matter of its own signature.
type Attachment struct {
	Type   string `json:"type"`   // artifact type, or "simple signing"
	Digest string `json:"digest"` // of its manifest
	To     string `json:"to"`     // digest of what it is about, or its name
	// Locked reports whether every blob in it is named by the lock.
	Locked bool `json:"locked"`
}

// attached follows what index.json lists beside the images: objects whose subject, or whose tag in the form
// sha256-<hex>, is a digest that is proved. Their blobs are hashed and count as named.
func (v *verification) attached() error {
	index, err := v.content.Index()
	if err != nil {
		return err
	}
	for _, d := range index.Manifests {
		if !v.named[d.Digest.String()] {
			if err := v.attachment(d, refSubject(d), 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// refSubject is TagSubject for an entry of index.json.
func refSubject(d v1.Descriptor) string {
	for _, name := range []string{layout.RefName, layout.AttachedName} {
		if _, tag, ok := strings.Cut(d.Annotations[name], ":"); ok {
			return TagSubject(tag)
		}
	}
	return ""
}

// TagSubject returns the digest that a tag of the forms sha256-<hex> and sha256-<hex>.sig is about; empty for other tags.
func TagSubject(tag string) string {
	tag, _, _ = strings.Cut(tag, ".")
	if hex, ok := strings.CutPrefix(tag, "sha256-"); ok {
		return "sha256:" + hex
	}
	return ""
}

// attachment checks one such object; about is what its tag says that it is about.
func (v *verification) attachment(d v1.Descriptor, about string, depth int) error {
	digest := d.Digest.String()
	bad := Finding{Kind: Unreadable, Part: "object that index.json lists", Blob: digest}
	data, err := v.read(bad)
	if err != nil || data == nil {
		v.named[digest] = true // it was reported
		return err
	}
	object, err := layout.ParseObject(data)
	switch {
	case err != nil:
		v.named[digest] = true
		v.contradict(bad, "", err.Error())
		return nil
	case object.Index && v.named[about] && depth == 0: // the referrers of a digest, by tag
		v.named[digest] = true
		for _, child := range object.Manifests {
			if !v.named[child.Digest.String()] {
				if err := v.attachment(child, "", depth+1); err != nil {
					return err
				}
			}
		}
		return nil
	case object.Index:
		return nil // an index that nobody knows: its blobs are unnamed
	}
	if object.Subject != nil {
		about = object.Subject.Digest.String()
	}
	a := Attachment{Type: artifactType(object), Digest: digest, To: about, Locked: true}
	if a.Type == LockArtifact {
		if same, err := v.isLock(object); err != nil || !same {
			return err
		}
		a.To = v.lock.Digest
	} else if !v.named[about] {
		return nil
	}
	v.named[digest] = true
	for _, blob := range object.Blobs {
		if err := v.attachedBlob(&a, blob.Digest.String()); err != nil {
			return err
		}
	}
	v.report.Attached = append(v.report.Attached, a)
	return nil
}

// attachedBlob hashes one blob of an attachment, unless the lock names it: then that was done.
func (v *verification) attachedBlob(a *Attachment, digest string) error {
	_, locked := v.locked[digest]
	a.Locked = a.Locked && (locked || digest == emptyConfig)
	part := Finding{Kind: Missing, Image: a.Type, Part: "blob of " + a.Digest, Blob: digest}
	switch {
	case !v.named[digest]:
		v.named[digest] = true
		_, err := v.read(part)
		return err
	case !v.has(digest):
		v.find(part)
	}
	return nil
}

// isLock reports whether a carried lock is the one that everything is proved against.
func (v *verification) isLock(m *layout.Object) (bool, error) {
	for _, blob := range m.Blobs {
		if blob.MediaType != LockMedia {
			continue
		}
		text, err := v.content.ReadBlob(blob.Digest.String())
		if err != nil {
			return gone(err), ignoreTerminal(err) // a wrong one is found when its bytes are hashed
		}
		carried, err := lock.Parse("carried lock", text)
		if err != nil {
			return false, nil
		}
		digest, err := carried.Digest()
		return digest == v.lock.Digest, err
	}
	return false, nil
}

func ignoreTerminal(err error) error {
	if gone(err) || fault.IsTerminal(err) {
		return nil
	}
	return err
}

// emptyConfig is the digest of {}, the configuration of artifacts (OCI image specification 1.1).
const emptyConfig = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

func artifactType(m *layout.Object) string {
	switch {
	case m.ArtifactType != "":
		return m.ArtifactType
	case len(m.Blobs) > 1 && m.Blobs[1].MediaType == simpleSigning:
		return "simple signing"
	case len(m.Blobs) > 0:
		return string(m.Blobs[0].MediaType)
	}
	return "unknown"
}

// simpleSigning is the media type of legacy signatures' payloads.
const simpleSigning = "application/vnd.dev.cosign.simplesigning.v1+json"
