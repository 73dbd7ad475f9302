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
			if err := v.attachment(d, tagSubject(d.Annotations[layout.RefName]), 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// tagSubject returns the digest that a tag of the forms sha256-<hex> and sha256-<hex>.sig is about.
func tagSubject(ref string) string {
	_, tag, _ := strings.Cut(ref, ":")
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
	manifest, list, err := parseObject(data)
	switch {
	case err != nil:
		v.named[digest] = true
		v.contradict(bad, "", err.Error())
		return nil
	case list != nil && v.named[about] && depth == 0: // the referrers of a digest, by tag
		v.named[digest] = true
		for _, child := range list.Manifests {
			if !v.named[child.Digest.String()] {
				if err := v.attachment(child, "", depth+1); err != nil {
					return err
				}
			}
		}
		return nil
	case manifest == nil:
		return nil // an index that nobody knows: its blobs are unnamed
	}
	if manifest.Subject != nil {
		about = manifest.Subject.Digest.String()
	}
	a := Attachment{Type: artifactType(manifest), Digest: digest, To: about, Locked: true}
	if a.Type == LockArtifact {
		if same, err := v.isLock(manifest); err != nil || !same {
			return err
		}
		a.To = v.lock.Digest
	} else if !v.named[about] {
		return nil
	}
	v.named[digest] = true
	for _, blob := range append([]v1.Descriptor{manifest.Config}, manifest.Layers...) {
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
func (v *verification) isLock(m *v1.Manifest) (bool, error) {
	for _, blob := range m.Layers {
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

func artifactType(m *v1.Manifest) string {
	switch {
	case m.ArtifactType != "":
		return m.ArtifactType
	case len(m.Layers) > 0 && m.Layers[0].MediaType == simpleSigning:
		return "simple signing"
	}
	return string(m.Config.MediaType)
}

// simpleSigning is the media type of legacy signatures' payloads.
const simpleSigning = "application/vnd.dev.cosign.simplesigning.v1+json"
