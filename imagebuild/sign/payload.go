package sign

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
)

// The strings of simple signing as cosign writes it and containers/image reads it.
const (
	payloadType         = "cosign container image signature"
	payloadMediaType    = "application/vnd.dev.cosign.simplesigning.v1+json"
	signatureAnnotation = "dev.cosignproject.cosign/signature"
)

// payload is what a simple signature is over.
type payload struct {
	Critical critical `json:"critical"`
	Optional any      `json:"optional"`
}

type critical struct {
	Identity struct {
		Reference string `json:"docker-reference"`
	} `json:"identity"`
	Image struct {
		Digest string `json:"docker-manifest-digest"`
	} `json:"image"`
	Type string `json:"type"`
}

// newPayload returns the bytes to be signed: that digest is an image of the repository identity.
func newPayload(identity, digest string) ([]byte, error) {
	p := payload{}
	p.Critical.Identity.Reference = identity
	p.Critical.Image.Digest = digest
	p.Critical.Type = payloadType
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}

// checkPayload refuses a payload that does not say that digest is an image of the repository
// identity. It is called for payloads whose signature was verified.
func checkPayload(text []byte, identity, digest string) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	var p payload
	if err := dec.Decode(&p); err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("payload: there is more after it")
	}
	if p.Critical.Type != payloadType {
		return fmt.Errorf("payload: type %q, want %q", p.Critical.Type, payloadType)
	}
	if p.Critical.Image.Digest != digest {
		return fmt.Errorf("it signs the image %s, not %s", p.Critical.Image.Digest, digest)
	}
	signed, err := repositoryOf(p.Critical.Identity.Reference)
	if err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	want, err := repositoryOf(identity)
	if err != nil {
		return err
	}
	if signed != want {
		return fmt.Errorf("it signs an image of %s, not of %s", signed, want)
	}
	return nil
}

// repositoryOf returns the repository of an image's name with or without tag or digest.
func repositoryOf(reference string) (string, error) {
	ref, err := name.ParseReference(reference)
	if err != nil {
		return "", fmt.Errorf("name of an image: %w", err)
	}
	return ref.Context().Name(), nil
}
