package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Input is one thing that a stage's result depends on.
type Input struct {
	// Name is unique in the stage; for outputs of stages it is "stage/output".
	Name string
	// Text is what a person reads of a parameter; empty for what is too long.
	Text          string
	digest        func(context.Context) (string, error)
	stage, output string
}

// Parameter is a value that was chosen.
func Parameter(name, value string) Input {
	return Input{Name: name, Text: value, digest: func(context.Context) (string, error) { return sum([]byte(value)), nil }}
}

// Value is anything that has a JSON form, such as a list of recipes.
func Value(name string, v any) Input {
	return Input{Name: name, digest: func(context.Context) (string, error) {
		text, err := json.Marshal(v)
		return sum(text), err
	}}
}

// Computed is an input whose digest somebody else knows how to find.
func Computed(name string, digest func(context.Context) (string, error)) Input {
	return Input{Name: name, digest: digest}
}

// Path is a file or a directory with all that is in it.
func Path(name, path string) Input { return Sources(name, path, nil) }

// Sources is a directory without what skip tells to leave out; it is asked with paths relative to
// the directory.
func Sources(name, dir string, skip func(path string, d fs.DirEntry) bool) Input {
	return Input{Name: name, digest: func(ctx context.Context) (string, error) {
		digest, _, err := treeDigest(ctx, dir, skip)
		return digest, err
	}}
}

// Output is what another stage has made.
func Output(stage, output string) Input {
	return Input{Name: stage + "/" + output, stage: stage, output: output}
}

// InputDigest is what a key was made of.
type InputDigest struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
	Text   string `json:"text,omitempty"`
}

// key makes the key of a stage's result. Results of another layout of the cache do not count.
func key(s *Stage, inputs []InputDigest) string {
	sorted := slices.SortedFunc(slices.Values(inputs), func(a, b InputDigest) int { return strings.Compare(a.Name, b.Name) })
	h := sha256.New()
	fmt.Fprintf(h, "slipway.build/ci/1\n%q %d\n", s.Name, s.Version)
	for _, in := range sorted {
		fmt.Fprintf(h, "%q %s\n", in.Name, in.Digest)
	}
	for _, o := range s.Outputs {
		fmt.Fprintf(h, "output %q\n", o)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(s[:])
}
