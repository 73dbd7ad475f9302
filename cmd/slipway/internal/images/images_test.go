package images

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/cmd/slipway/internal/progress"
	"slipway.build/slipway/imagebuild/component"
	"slipway.build/slipway/imagebuild/lock"
)

// pause builds the smallest real image through the build cache.
func pause(t *testing.T) []component.Built {
	t.Helper()
	if testing.Short() {
		t.Skip("compiles an image with the locked toolchain; not in short mode")
	}
	report := progress.New(io.Discard, progress.Plain)
	built, err := Build(t.Context(), report, "../../../../imagebuild/component/sources", "pause")
	if err != nil {
		t.Fatal(err)
	}
	return built
}

// published publishes the pause image with a lock of its own into a state directory.
func published(t *testing.T) (Paths, *lock.Lock) {
	t.Helper()
	built := pause(t)
	l, err := component.Compute(built)
	if err != nil {
		t.Fatal(err)
	}
	component.Issue(nil, l, time.Now(), component.LockLife)
	p := Paths{State: t.TempDir()}
	if _, _, err := Publish(p, built, l); err != nil {
		t.Fatal(err)
	}
	return p, l
}

func TestWhatIsPublishedVerifies(t *testing.T) {
	p, want := published(t)
	report, got, err := Verify(t.Context(), p, Subject{}, progress.New(io.Discard, progress.Plain))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Images) != 1 || got.Images[0].Index != want.Images[0].Index || !report.Proved() || report.Images < 1 {
		t.Errorf("verified %+v: %v", got.Images, report)
	}
	if st, err := os.Stat(filepath.Join(p.Keys(), "local.key")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the private key: %v, %v", st, err)
	}
}

func TestPublishingAgainChangesNoFile(t *testing.T) {
	p, l := published(t)
	before, err := os.Stat(p.Lock())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Publish(p, pause(t), l); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(p.Lock())
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the lock was written again: %v", err)
	}
}

func TestAFlippedByteOfALayerIsNamed(t *testing.T) {
	p, l := published(t)
	layer := l.Images[0].Platforms[0].Layers[0].Digest
	name := filepath.Join(p.Registry(), "blobs", "sha256", strings.TrimPrefix(layer, "sha256:"))
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	// A file of its own: the blob may be a hard link into the build cache.
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o444); err != nil {
		t.Fatal(err)
	}
	report, _, err := Verify(t.Context(), p, Subject{}, progress.New(io.Discard, progress.Plain))
	if err != nil || report.Proved() {
		t.Fatalf("got %v, %v", report, err)
	}
	var found []string
	for _, f := range report.Findings {
		found = append(found, f.String())
	}
	if said := strings.Join(found, "\n"); !strings.Contains(said, "pause@") || !strings.Contains(said, "expected "+layer+", found sha256:") {
		t.Errorf("got %s", said)
	}
}

func TestALockSignedByAnotherKeyIsRefused(t *testing.T) {
	p, _ := published(t)
	other, _ := published(t)
	if _, _, err := Verify(t.Context(), p, Subject{Keys: other.PublicKey()}, progress.New(io.Discard, progress.Plain)); err == nil {
		t.Error("a lock was believed that no trusted key has signed")
	}
}

func TestACommittedLockThatDiffersNamesTheDifference(t *testing.T) {
	built := pause(t)
	l, err := component.Compute(built)
	if err != nil {
		t.Fatal(err)
	}
	component.Issue(nil, l, time.Now(), component.LockLife)
	file := filepath.Join(t.TempDir(), "images.yaml")
	if err := component.WriteLock(file, l); err != nil {
		t.Fatal(err)
	}
	if checked, err := Check(file, built); err != nil || checked.Number != 1 {
		t.Fatalf("the same lock: %v", err)
	}
	again, err := component.Compute(built)
	if err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	if err := Issue(file, again, later, time.Hour, false); err != nil || again.Number != 1 || again.Issued != l.Issued {
		t.Errorf("the same content got number %d of %s: %v", again.Number, again.Issued, err)
	}
	if err := Issue(file, again, later, time.Hour, true); err != nil || again.Number != 2 || again.Issued == l.Issued {
		t.Errorf("renewed it got number %d of %s: %v", again.Number, again.Issued, err)
	}
	l.Images[0].Version = "v9.9.9"
	if err := component.WriteLock(file, l); err != nil {
		t.Fatal(err)
	}
	if _, err := Check(file, built); err == nil || !strings.Contains(err.Error(), "pause@v1.0.0: input recipe") {
		t.Errorf("got %v", err)
	}
	if _, err := Check(filepath.Join(t.TempDir(), "none.yaml"), built); err == nil || !strings.Contains(err.Error(), "slipway images lock") {
		t.Errorf("without a lock: %v", err)
	}
}
