package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

type source struct {
	parts   []Part
	secrets []string
}

func (s source) Parts(context.Context) []Part { return s.parts }
func (s source) Secrets() []string            { return s.secrets }

func text(name, content string) Part {
	return Part{Name: name, How: "the test", Make: func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, content)
		return err
	}}
}

// unpack returns the files of an archive and its manifest.
func unpack(t *testing.T, raw []byte) (map[string]string, Manifest) {
	t.Helper()
	packed, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(packed); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimPrefix(header.Name, "slipway-bundle/")] = string(content)
	}
	var manifest Manifest
	if err := json.Unmarshal([]byte(files[ManifestName]), &manifest); err != nil {
		t.Fatal(err)
	}
	return files, manifest
}

func write(t *testing.T, s source) (map[string]string, Manifest) {
	t.Helper()
	var out bytes.Buffer
	if err := Write(t.Context(), s, &out); err != nil {
		t.Fatal(err)
	}
	return unpack(t, out.Bytes())
}

func TestTheManifestNamesEveryPartWithItsDigest(t *testing.T) {
	files, manifest := write(t, source{parts: []Part{text("status.json", "{}"), text("logs/a.log", "line\n")}})
	if len(manifest.Parts) != 2 || manifest.Schema == "" || manifest.Made.IsZero() {
		t.Fatalf("manifest %+v", manifest)
	}
	for _, part := range manifest.Parts {
		sum := sha256.Sum256([]byte(files[part.Name]))
		if part.SHA256 != hex.EncodeToString(sum[:]) || part.How != "the test" || part.Bytes != len(files[part.Name]) {
			t.Errorf("%+v does not describe %q", part, files[part.Name])
		}
	}
}

func TestNoSecretIsInAnArchive(t *testing.T) {
	planted := []string{
		"literal-of-this-node", "MIGHAgEAMBMGByqGSM49", "eyJhbGciOiJSUzI1NiJ9.e30.sig", "dXNlcjpwYXNz", "hunter2hunter2",
		"gAAAAABkToken", "s3cr3tcookie", "AKIDEXAMPLE",
	}
	content := `token of the join: literal-of-this-node
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49
-----END PRIVATE KEY-----
Authorization: Bearer eyJhbGciOiJSUzI1NiJ9.e30.sig
authorization: Basic dXNlcjpwYXNz
Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101, Signature=abc
{"X-Auth-Token": "gAAAAABkToken"}
Cookie: session=s3cr3tcookie
password=hunter2hunter2
`
	failing := Part{Name: "fails", Make: func(context.Context, io.Writer) error { return errors.New("token=hunter2hunter2") }}
	var out bytes.Buffer
	if err := Write(t.Context(), source{parts: []Part{text("log", content), failing}, secrets: planted[:1]}, &out); err != nil {
		t.Fatal(err)
	}
	files, _ := unpack(t, out.Bytes())
	for name, content := range files {
		for _, secret := range planted {
			if strings.Contains(content, secret) {
				t.Errorf("%s holds %q:\n%s", name, secret, content)
			}
		}
	}
	if !strings.Contains(files["log"], "token of the join") {
		t.Errorf("the part is gone with its secrets: %q", files["log"])
	}
}

func TestAPartThatFailsIsSaidAndTheOthersAreThere(t *testing.T) {
	half := Part{Name: "half", Make: func(_ context.Context, w io.Writer) error {
		_, _ = io.WriteString(w, "begun")
		return errors.New("the disk is gone")
	}}
	broken := Part{Name: "broken", Make: func(context.Context, io.Writer) error { panic("a nil map") }}
	files, manifest := write(t, source{parts: []Part{half, broken, text("last", "here")}})
	if files["half"] != "begun" || files["last"] != "here" {
		t.Errorf("files %v", files)
	}
	if manifest.Parts[0].Error != "the disk is gone" || !strings.Contains(manifest.Parts[1].Error, "a nil map") {
		t.Errorf("manifest %+v", manifest.Parts)
	}
}

func TestAnArchiveIsBounded(t *testing.T) {
	endless := func(i int) Part {
		return Part{Name: fmt.Sprintf("endless-%d", i), Make: func(_ context.Context, w io.Writer) error {
			for range 3 * MaxPart / 1024 {
				if _, err := w.Write(bytes.Repeat([]byte("x"), 1024)); err != nil {
					return err
				}
			}
			return nil
		}}
	}
	var parts []Part
	for i := range MaxTotal/MaxPart + 5 {
		parts = append(parts, endless(i))
	}
	files, manifest := write(t, source{parts: parts})
	total := 0
	for _, part := range manifest.Parts {
		total += part.Bytes
		if !part.Cut || part.Bytes > MaxPart || part.Bytes != len(files[part.Name]) {
			t.Errorf("%+v", part)
		}
	}
	if total > MaxTotal {
		t.Errorf("%d bytes, more than %d", total, MaxTotal)
	}
}

func TestAnArchiveThatNobodyWaitsForEnds(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	part := Part{Name: "slow", Make: func(ctx context.Context, _ io.Writer) error {
		cancel(errors.New("the caller has gone"))
		<-ctx.Done()
		return context.Cause(ctx)
	}}
	err := Write(ctx, source{parts: []Part{part}}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "the caller has gone") {
		t.Errorf("error %v", err)
	}
}
