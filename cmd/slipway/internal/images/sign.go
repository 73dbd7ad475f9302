package images

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"slipway.build/slipway/cmd/slipway/internal/progress"
	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/referrer"
	"slipway.build/slipway/imagebuild/sign"
)

// Where says where images are whose signatures are made or verified.
type Where struct {
	// Layout is an OCI layout's directory; empty: the images are in registries.
	Layout string
	// Registry is what comes before the repositories of a layout where it is published:
	// "registry.example" or "registry.example/mirror".
	Registry string
	// Identity is the repository that signatures name, if that is not where the image is.
	Identity string
	// PlainHTTP speaks to registries without TLS; those on loopback are spoken to so anyway.
	PlainHTTP bool
}

// Target is one image whose signatures are made or verified.
type Target struct {
	Name       string // as it was given
	Identity   string // repository that signatures name
	Reference  string // tag or digest
	repository referrer.Repository
}

// Targets resolves names of images: "registry/repository:tag" or "@digest", or, in a layout,
// without the registry. No name means all images of the layout.
func (w Where) Targets(names []string) ([]Target, error) {
	if w.Layout != "" && len(names) == 0 {
		var err error
		if names, err = referrer.Names(w.Layout); err != nil {
			return nil, fmt.Errorf("read the layout: %w", err)
		}
	}
	switch {
	case len(names) == 0:
		return nil, errors.New("no image named")
	case w.Identity != "" && len(names) > 1:
		return nil, errors.New("--identity is for one image")
	case w.Layout != "" && w.Registry == "" && w.Identity == "":
		return nil, errors.New("a signature names the repository where an image is published: give the layout's --registry, or the image's --identity")
	}
	var all []Target
	for _, n := range names {
		t, err := w.target(n)
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", n, err)
		}
		all = append(all, t)
	}
	return all, nil
}

func (w Where) target(image string) (Target, error) {
	repository, reference, ok := SplitReference(image)
	if !ok {
		return Target{}, errors.New("want repository:tag or repository@sha256:digest")
	}
	t := Target{Name: image, Reference: reference, Identity: w.Identity}
	if w.Layout != "" {
		t.repository = referrer.OpenLayout(w.Layout, repository)
		if t.Identity == "" {
			t.Identity = strings.TrimSuffix(w.Registry, "/") + "/" + repository
		}
		return t, nil
	}
	var options []name.Option
	if w.PlainHTTP {
		options = append(options, name.Insecure)
	}
	repo, err := name.NewRepository(repository, options...)
	if err != nil {
		return t, err
	}
	t.repository = referrer.OpenRegistry(repo, nil, remote.WithAuthFromKeychain(authn.DefaultKeychain))
	if t.Identity == "" {
		t.Identity = repo.Name()
	}
	return t, nil
}

// SplitReference cuts an image's name into repository and tag or digest; ok is false when it has
// neither.
func SplitReference(image string) (repository, reference string, ok bool) {
	if repository, reference, ok = strings.Cut(image, "@"); ok {
		return repository, reference, repository != ""
	}
	i := strings.LastIndexByte(image, ':')
	if i < 1 || strings.Contains(image[i:], "/") {
		return image, "", false
	}
	return image[:i], image[i+1:], image[i+1:] != ""
}

// Signed is what was signed or verified of one image.
type Signed struct {
	Image string `json:"image"`
	// Digests are those of the index and the manifests that were signed.
	Digests []string `json:"digests,omitempty"`
	// Provenance counts the signed statements of provenance.
	Provenance int              `json:"provenance,omitempty"`
	Signatures []sign.Signature `json:"signatures,omitempty"`
}

// SignImages signs images in both forms, and of their provenance what l names. Without a lock no
// provenance is signed.
func SignImages(ctx context.Context, key *sign.Key, targets []Target, l *lock.Lock, report progress.Reporter) ([]Signed, error) {
	locked := map[string]bool{}
	if l != nil {
		for _, img := range l.Images {
			for _, p := range img.Platforms {
				locked[p.Evidence.Provenance] = true
			}
		}
		delete(locked, "")
	}
	return each(targets, "sign", report, func(t Target) (Signed, error) {
		s := Signed{Image: t.Name}
		var err error
		if s.Digests, err = key.Image(ctx, t.repository, t.Identity, t.Reference); err != nil || len(locked) == 0 {
			return s, err
		}
		s.Provenance, err = key.Provenance(ctx, t.repository, t.Reference, func(d string) bool { return locked[d] })
		return s, err
	})
}

// VerifyImages verifies both forms of images' signatures. It returns what holds with the error that
// says what does not.
func VerifyImages(ctx context.Context, keys []*ecdsa.PublicKey, targets []Target, report progress.Reporter) ([]Signed, error) {
	return each(targets, "verify", report, func(t Target) (Signed, error) {
		found, err := sign.VerifyImage(ctx, t.repository, t.Identity, t.Reference, keys)
		return Signed{Image: t.Name, Signatures: found}, err
	})
}

func each(targets []Target, verb string, report progress.Reporter, do func(Target) (Signed, error)) ([]Signed, error) {
	var all []Signed
	var problems []error
	for i, t := range targets {
		report.Report(progress.Update{Task: verb, Label: verb + " " + t.Name, State: progress.Running, Done: int64(i), Total: int64(len(targets))})
		s, err := do(t)
		if err != nil {
			problems = append(problems, err)
		}
		all = append(all, s)
	}
	state := progress.Done
	if len(problems) > 0 {
		state = progress.Failed
	}
	report.Report(progress.Update{Task: verb, Label: verb, State: state, Done: int64(len(targets)), Total: int64(len(targets))})
	return all, errors.Join(problems...)
}

// LockSignedBy reads a lock that key has signed; the signature lies beside it.
func LockSignedBy(file string, key *sign.Key) (*lock.Lock, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the signed lock: %w", err)
	}
	signature, err := os.ReadFile(file + ".sig")
	if err != nil {
		return nil, fmt.Errorf("read the lock's signature: %w", err)
	}
	trusted, err := key.PublicPEM()
	if err != nil {
		return nil, err
	}
	l, err := lock.Verify(text, signature, trusted)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return l, nil
}

// PublicKeys reads a file of trusted public keys.
func PublicKeys(file string) ([]*ecdsa.PublicKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the trusted keys: %w; give them with --key", err)
	}
	return lock.PublicKeys(text)
}
