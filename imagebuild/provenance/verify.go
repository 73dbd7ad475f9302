package provenance

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// MaxSize bounds a statement that is read: 4 MiB; the largest of ours, with thousands of files,
// has a tenth.
const MaxSize = 4 << 20

// Parse reads a statement of our build type. Unknown fields and anything behind the statement are
// errors.
func Parse(data []byte) (*Statement, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("provenance: %d bytes are more than the %d allowed", len(data), MaxSize)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	s := new(Statement)
	if err := dec.Decode(s); err != nil {
		return nil, fmt.Errorf("provenance: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("provenance: there is more after the statement")
	}
	for _, c := range []struct{ field, got, want string }{
		{"_type", s.Type, StatementType},
		{"predicateType", s.PredicateType, PredicateType},
		{"predicate.buildDefinition.buildType", s.Predicate.BuildDefinition.BuildType, BuildType},
		{"predicate.runDetails.builder.id", s.Predicate.RunDetails.Builder.ID, BuilderID},
	} {
		if c.got != c.want {
			return nil, fmt.Errorf("provenance: %s is %q, want %q", c.field, c.got, c.want)
		}
	}
	return s, nil
}

// Verify checks a statement against the lock's entry of one platform: it is about exactly the
// manifests and files of that entry, with its recipe, and names the entry's module, go.sum,
// toolchain and Debian packages with their digests. It returns every difference. That the bytes
// are those of the lock's Evidence.Provenance is for the caller to check, as is a signature.
func Verify(statement []byte, img *lock.Image, p *lock.Platform, toolchain string) error {
	got, err := Parse(statement)
	if err != nil {
		return err
	}
	want := fromLock(img, p, toolchain)
	var problems []error
	bad := func(format string, a ...any) { problems = append(problems, fmt.Errorf(format, a...)) }
	problems = append(problems, compare("subject", got.Subject, want.Subject, true)...)
	gotDef, wantDef := &got.Predicate.BuildDefinition, &want.Predicate.BuildDefinition
	if !sameJSON(gotDef.ExternalParameters, wantDef.ExternalParameters) {
		bad("externalParameters are %+v, the lock has %+v", gotDef.ExternalParameters, wantDef.ExternalParameters)
	}
	problems = append(problems, compare("resolvedDependencies", gotDef.ResolvedDependencies, wantDef.ResolvedDependencies, false)...)
	if err := mainModule(gotDef.ResolvedDependencies, &img.Source); err != nil {
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("provenance of %s %s %s does not fit the lock: %w", img.Name, img.Version, p.Platform, err)
	}
	return nil
}

// sameJSON compares what would be written: a list that is empty is one that is not there.
func sameJSON(a, b Parameters) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// compare wants every resource of want in got; only these if exact.
func compare(field string, got, want []Resource, exact bool) []error {
	var problems []error
	have := map[string]bool{}
	for _, r := range got {
		have[r.text()] = true
	}
	need := map[string]bool{}
	for _, r := range want {
		need[r.text()] = true
		if !have[r.text()] {
			problems = append(problems, fmt.Errorf("%s: %s is missing", field, r.text()))
		}
	}
	for _, r := range got {
		if exact && !need[r.text()] {
			problems = append(problems, fmt.Errorf("%s: %s is not in the lock", field, r.text()))
		}
	}
	return problems
}

// mainModule wants the module that the lock names, with its sum, among the dependencies.
func mainModule(deps []Resource, source *lock.Source) error {
	if source.Module == "" {
		return nil
	}
	for _, r := range deps {
		if r.Name != source.Module || r.Digest[dirHash] == "" {
			continue
		}
		raw, err := hex.DecodeString(r.Digest[dirHash])
		if err == nil && h1(raw) == source.Sum {
			return nil
		}
		return fmt.Errorf("resolvedDependencies: %s has the sum %s, the lock has %s", r.Name, h1(raw), source.Sum)
	}
	return fmt.Errorf("resolvedDependencies: module %s with the sum %s is missing", source.Module, source.Sum)
}

// text is all of a resource on one line.
func (r Resource) text() string {
	var b strings.Builder
	b.WriteString(r.Name)
	if r.URI != "" {
		b.WriteString(" " + r.URI)
	}
	for _, algorithm := range slices.Sorted(maps.Keys(r.Digest)) {
		fmt.Fprintf(&b, " %s:%s", algorithm, r.Digest[algorithm])
	}
	for _, key := range slices.Sorted(maps.Keys(r.Annotations)) {
		fmt.Fprintf(&b, " %s=%s", key, r.Annotations[key])
	}
	return b.String()
}

func h1(raw []byte) string { return "h1:" + base64.StdEncoding.EncodeToString(raw) }
