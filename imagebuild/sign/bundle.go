package sign

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/referrer"
)

// PredicateSign is the predicate type of a statement that only says that an image is signed, as
// cosign 3 writes it.
const PredicateSign = "https://sigstore.dev/cosign/sign/v1"

const (
	statementType = "https://in-toto.io/Statement/v1"
	envelopeType  = "application/vnd.in-toto+json"
	// The annotations by which cosign tells bundles apart without reading them.
	contentAnnotation   = "dev.sigstore.bundle.content"
	predicateAnnotation = "dev.sigstore.bundle.predicateType"
)

// bundle is a sigstore bundle, version 0.3, with a DSSE envelope and a public key's hint. Field
// names are those of its protobuf JSON form.
type bundle struct {
	MediaType string `json:"mediaType"`
	Material  struct {
		PublicKey *keyHint `json:"publicKey,omitempty"`
	} `json:"verificationMaterial"`
	Envelope *dsse.Envelope `json:"dsseEnvelope"`
}

type keyHint struct {
	Hint string `json:"hint"`
}

// subjectStatement is as much of an in-toto statement as every kind has.
type subjectStatement struct {
	Type    string `json:"_type"`
	Subject []struct {
		Digest map[string]string `json:"digest"`
	} `json:"subject"`
	PredicateType string `json:"predicateType"`
	Predicate     any    `json:"predicate"`
}

// SignStatement returns the statement that says that an image is signed and nothing more.
func SignStatement(digest string) ([]byte, error) {
	sum, ok := bytes.CutPrefix([]byte(digest), []byte("sha256:"))
	if !ok {
		return nil, fmt.Errorf("%q is not a sha256 digest", digest)
	}
	s := subjectStatement{Type: statementType, PredicateType: PredicateSign, Predicate: struct{}{}}
	s.Subject = append(s.Subject, struct {
		Digest map[string]string `json:"digest"`
	}{map[string]string{"sha256": string(sum)}})
	return json.Marshal(s)
}

// Bundle signs an in-toto statement and returns the sigstore bundle. The same statement and key
// give the same bytes.
func (k *Key) Bundle(statement []byte) ([]byte, error) {
	raw, err := k.signature(dsse.PAE(envelopeType, statement))
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(&k.private.PublicKey)
	if err != nil {
		return nil, err
	}
	hint := sha256.Sum256(der)
	b := bundle{MediaType: referrer.TypeBundle, Envelope: &dsse.Envelope{
		PayloadType: envelopeType,
		Payload:     base64.StdEncoding.EncodeToString(statement),
		Signatures:  []dsse.Signature{{Sig: base64.StdEncoding.EncodeToString(raw)}},
	}}
	b.Material.PublicKey = &keyHint{base64.StdEncoding.EncodeToString(hint[:])}
	return json.Marshal(b)
}

// AttachBundle signs an in-toto statement and attaches the bundle to an image, or to whatever else
// the statement is about.
func (k *Key) AttachBundle(ctx context.Context, r referrer.Repository, subject v1.Descriptor, statement []byte) error {
	s, err := parseStatement(statement)
	if err != nil {
		return fmt.Errorf("sign %s in %s: %w", subject.Digest, r, err)
	}
	if !s.about(subject.Digest.String()) {
		return fmt.Errorf("sign %s in %s: the statement is about something else", subject.Digest, r)
	}
	b, err := k.Bundle(statement)
	if err != nil {
		return fmt.Errorf("sign %s in %s: %w", subject.Digest, r, err)
	}
	if len(b) > maxBundle {
		return fmt.Errorf("sign %s in %s: the bundle would have %d bytes, more than the %d that are read", subject.Digest, r, len(b), maxBundle)
	}
	_, err = referrer.Attach(ctx, r, subject, referrer.Artifact{
		Type: referrer.TypeBundle, Content: b,
		Annotations: map[string]string{contentAnnotation: "dsse-envelope", predicateAnnotation: s.PredicateType},
	})
	return err
}

// OpenBundle checks a bundle's signature and returns its statement and the key that has signed it.
// Bundles with a certificate in place of a key are refused, as are those of other versions.
func OpenBundle(content []byte, keys []*ecdsa.PublicKey) (statement []byte, key *ecdsa.PublicKey, err error) {
	if len(content) > maxBundle {
		return nil, nil, fmt.Errorf("bundle: %d bytes are more than the %d allowed", len(content), maxBundle)
	}
	var b bundle
	if err := json.Unmarshal(content, &b); err != nil {
		return nil, nil, fmt.Errorf("bundle: %w", err)
	}
	switch {
	case b.MediaType != referrer.TypeBundle:
		return nil, nil, fmt.Errorf("bundle: media type %q, want %q", b.MediaType, referrer.TypeBundle)
	case b.Material.PublicKey == nil:
		return nil, nil, errors.New("bundle: it is not signed with a key")
	case b.Envelope == nil || b.Envelope.PayloadType != envelopeType:
		return nil, nil, errors.New("bundle: it holds no in-toto statement")
	}
	if statement, err = base64.StdEncoding.DecodeString(b.Envelope.Payload); err != nil {
		return nil, nil, fmt.Errorf("bundle: payload: %w", err)
	}
	signed := dsse.PAE(b.Envelope.PayloadType, statement)
	err = errors.New("bundle: no signature in it")
	for _, s := range b.Envelope.Signatures {
		raw, decodeErr := base64.StdEncoding.DecodeString(s.Sig)
		if decodeErr != nil {
			err = fmt.Errorf("bundle: signature: %w", decodeErr)
			continue
		}
		if key, err = signer(signed, raw, keys); err == nil {
			return statement, key, nil
		}
	}
	return nil, nil, err
}

// VerifyBundle returns the first bundle attached to an image that is signed by one of the keys and
// whose statement has that predicate type and is about digest. It does not say to which repository
// the image belongs: that is for a simple signature or the lock. ErrUnsigned tells an image without
// bundles apart.
func VerifyBundle(ctx context.Context, r referrer.Repository, digest, predicate string, keys []*ecdsa.PublicKey) (*Signature, error) {
	fail := func(err error) (*Signature, error) {
		return nil, fmt.Errorf("bundle of %s in %s: %w", digest, r, err)
	}
	list, err := referrer.List(ctx, r, digest, referrer.TypeBundle)
	if err != nil {
		return fail(err)
	}
	if len(list) > maxSignatures {
		return fail(fmt.Errorf("%d are attached, more than the %d allowed", len(list), maxSignatures))
	}
	var reasons []error
	for _, d := range list {
		s, err := verifyAttached(ctx, r, digest, predicate, d, keys)
		if err == nil {
			return s, nil
		}
		reasons = append(reasons, err)
	}
	if len(reasons) == 0 {
		return fail(ErrUnsigned)
	}
	return fail(errors.Join(reasons...))
}

func verifyAttached(ctx context.Context, r referrer.Repository, digest, predicate string, d v1.Descriptor, keys []*ecdsa.PublicKey) (*Signature, error) {
	a, err := referrer.Read(ctx, r, digest, d, maxBundle)
	if err != nil {
		return nil, err
	}
	text, key, err := OpenBundle(a.Content, keys)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.Digest, err)
	}
	s, err := parseStatement(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.Digest, err)
	}
	if s.PredicateType != predicate {
		return nil, fmt.Errorf("%s: its statement is a %s, not a %s", d.Digest, s.PredicateType, predicate)
	}
	if !s.about(digest) {
		return nil, fmt.Errorf("%s: its statement is about something else", d.Digest)
	}
	return &Signature{Form: "bundle", Image: digest, Key: lock.KeyID(key), Predicate: predicate, Statement: text}, nil
}

func parseStatement(text []byte) (*subjectStatement, error) {
	s := new(subjectStatement)
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	if s.Type != statementType {
		return nil, fmt.Errorf("statement: type %q, want %q", s.Type, statementType)
	}
	return s, nil
}

// about reports whether one of the statement's subjects has that digest.
func (s *subjectStatement) about(digest string) bool {
	for _, subject := range s.Subject {
		if sum := subject.Digest["sha256"]; sum != "" && "sha256:"+sum == digest {
			return true
		}
	}
	return false
}
