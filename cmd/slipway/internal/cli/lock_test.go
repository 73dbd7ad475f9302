package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/sign"
)

// committed is the lock of the clone.
const committed = "../../../../images.yaml"

// onLock runs a command in a state directory, at a time when the committed lock is in force.
func onLock(t *testing.T, state string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	l, err := lock.Load(committed)
	if err != nil {
		t.Fatal(err)
	}
	var out, problems bytes.Buffer
	code = Run(t.Context(), append([]string{"--state", state, "images", "lock"}, args...), IO{
		In: strings.NewReader(""), Out: &out, Err: &problems, Now: func() time.Time { return l.IssuedAt().Add(time.Hour) },
	})
	return code, out.String(), problems.String()
}

// changed writes the committed lock with a change.
func changed(t *testing.T, change func(*lock.Lock)) string {
	t.Helper()
	l, err := lock.Load(committed)
	if err != nil {
		t.Fatal(err)
	}
	change(l)
	text, err := l.YAML("")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "images.yaml")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// findings runs a check and returns the rules that found something.
func findings(t *testing.T, state string, args ...string) map[string]int {
	t.Helper()
	code, stdout, _ := onLock(t, state, append([]string{"check", "-o", "json"}, args...)...)
	var report struct {
		Findings []struct{ Rule, Image, Field, Problem, Remedy string }
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	rules := map[string]int{}
	for _, f := range report.Findings {
		rules[f.Rule]++
	}
	if want := map[bool]int{true: ExitOK, false: ExitFailed}[len(report.Findings) == 0]; code != want {
		t.Errorf("exit %d with %d findings", code, len(report.Findings))
	}
	return rules
}

func TestCheckWantsASignatureThatIsTrusted(t *testing.T) {
	state, file := t.TempDir(), changed(t, func(*lock.Lock) {})
	if findings(t, state, file)["signed"] != 1 {
		t.Error("an unsigned lock was let pass")
	}
	keys := filepath.Join(state, "control", "keys")
	if err := os.MkdirAll(filepath.Dir(keys), 0o755); err != nil {
		t.Fatal(err)
	}
	key, err := sign.LocalKey(keys)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := key.Sign(text)
	if err != nil {
		t.Fatal(err)
	}
	beside := file + ".sig"
	if err := os.WriteFile(beside, signature, 0o644); err != nil {
		t.Fatal(err)
	}
	if findings(t, state, file)["signed"] != 0 {
		t.Error("the signature beside the lock does not count")
	}
	published := filepath.Join(state, "control", "lock", "images.yaml.sig")
	if err := os.MkdirAll(filepath.Dir(published), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(beside, published); err != nil {
		t.Fatal(err)
	}
	if findings(t, state, file)["signed"] != 0 {
		t.Error("the signature that was published here does not count for the same lock")
	}
	other := changed(t, func(l *lock.Lock) { l.Number++ })
	if findings(t, state, other)["signed"] != 1 || findings(t, state, other, "--signature", published)["signed"] != 1 {
		t.Error("the signature of another lock counts")
	}
	foreign, err := sign.LocalKey(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	public, err := foreign.PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	pem := filepath.Join(t.TempDir(), "foreign.pub")
	if err := os.WriteFile(pem, public, 0o644); err != nil {
		t.Fatal(err)
	}
	if findings(t, state, file, "--key", pem, "--signature", published)["signed"] != 1 {
		t.Error("a key that is not trusted counts")
	}
}

func TestALockIsSignedAndThenChecked(t *testing.T) {
	state, file := t.TempDir(), changed(t, func(*lock.Lock) {})
	for range 2 {
		code, stdout, stderr := onLock(t, state, "sign", file)
		if code != ExitOK || !strings.Contains(stdout, "the local key of this machine, which is no release key") {
			t.Fatalf("exit %d, %s, %s", code, stdout, stderr)
		}
	}
	if findings(t, state, file)["signed"] != 0 {
		t.Error("the signature does not count")
	}
	other := t.TempDir()
	if _, err := sign.LocalKey(filepath.Join(other, "release")); err != nil {
		t.Fatal(err)
	}
	release := filepath.Join(other, "release", sign.LocalKeyFile)
	if code, stdout, stderr := onLock(t, state, "sign", file, "--key", release, "--add", "-o", "json"); code != ExitOK || !strings.Contains(stdout, `"keyID":"sha256:`) {
		t.Fatalf("exit %d, %s, %s", code, stdout, stderr)
	}
	if findings(t, state, file)["signed"] != 0 || findings(t, state, file, "--key", filepath.Join(other, "release", sign.LocalPublicFile))["signed"] != 0 {
		t.Error("one of the two signatures does not count")
	}
	if code, _, stderr := onLock(t, state, "sign", file, "--key", file); code != ExitFailed || stderr == "" {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

func TestCheckLooksAtTheStepFromAnotherLock(t *testing.T) {
	state := t.TempDir()
	from := changed(t, func(l *lock.Lock) { l.Number += 5 })
	if findings(t, state, committed, "--from", from)["number"] != 1 {
		t.Error("a lock with a lower number was let pass")
	}
	code, stdout, _ := onLock(t, state, "check", "--rules")
	if code != ExitOK || !strings.Contains(stdout, "kubelet-skew") {
		t.Errorf("exit %d, %s", code, stdout)
	}
}

func TestWhatIsNoLockIsNamedByItsLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "images.yaml")
	if err := os.WriteFile(file, []byte("schema: slipway.build/images/v2\nnumbre: 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check", file}, {"diff", file, committed}, {"explain", "etcd", "--lock", file}, {"update", "--lock", file}} {
		code, stdout, stderr := onLock(t, t.TempDir(), args...)
		if code != ExitFailed || stdout != "" || !strings.Contains(stderr, file+":2: numbre: unknown field") {
			t.Errorf("%v: exit %d, %q, %q", args, code, stdout, stderr)
		}
	}
	if code, _, stderr := onLock(t, t.TempDir(), "nope"); code != ExitFailed || !strings.Contains(stderr, `no image "nope"; there are calico-cni, `) {
		t.Errorf("exit %d, %q", code, stderr)
	}
	for _, args := range [][]string{{"check", "a", "b"}, {"diff"}, {"explain"}, {"schema", "x"}, {"accept", "support"}, {"accept", "support", "etcd"}} {
		if code, _, stderr := onLock(t, t.TempDir(), args...); code != ExitUsage || stderr == "" {
			t.Errorf("%v: exit %d, %q", args, code, stderr)
		}
	}
}

func TestDiffSaysWhatNodesFetchAndRestart(t *testing.T) {
	to := changed(t, func(l *lock.Lock) {
		l.Number++
		etcd := l.ByName("etcd")[0]
		etcd.Source.GoSum = "sha256:" + strings.Repeat("ab", 32)
		for i := range etcd.Platforms {
			p := &etcd.Platforms[i]
			p.Manifest = "sha256:" + strings.Repeat("a", 62) + p.Manifest[len(p.Manifest)-2:]
			p.Layers[0] = lock.Layer{Digest: "sha256:" + strings.Repeat("b", 64), DiffID: "sha256:" + strings.Repeat("c", 64), Size: 1 << 20}
			p.Files[0].SHA256 = strings.Repeat("d", 64)
		}
	})
	code, stdout, stderr := onLock(t, t.TempDir(), "diff", committed, to)
	if code != ExitOK || !strings.Contains(stdout, "was built anew: go.sum") || !strings.Contains(stdout, "restarts slipway-etcd.service") || strings.Count(stdout, "restarts nothing") != 1 {
		t.Errorf("exit %d, %s, %s", code, stdout, stderr)
	}
	code, stdout, _ = onLock(t, t.TempDir(), "diff", committed, to, "-o", "json")
	var delta struct {
		Nodes []struct {
			Role  string
			Fetch struct{ Bytes int64 }
		}
	}
	if err := json.Unmarshal([]byte(stdout), &delta); err != nil || code != ExitOK || len(delta.Nodes) != 2 || delta.Nodes[0].Fetch.Bytes < 1<<20 || delta.Nodes[1].Fetch.Bytes != 0 {
		t.Errorf("exit %d, %v, %s", code, err, stdout)
	}
	if code, _, stderr = onLock(t, t.TempDir(), "diff", committed, to, "--to-kubernetes", "v1.2.3"); code != ExitFailed || !strings.Contains(stderr, "v1.2.3") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

func TestExplainNamesEverySumOfAnImage(t *testing.T) {
	l, err := lock.Load(committed)
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := onLock(t, t.TempDir(), "explain", "kube-apiserver", "--lock", committed)
	if code != ExitOK {
		t.Fatalf("exit %d, %s", code, stderr)
	}
	digest, err := l.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for _, img := range l.ByName("kube-apiserver") {
		if img.Unresolved != "" {
			if !strings.Contains(stdout, "unresolved: "+img.Unresolved) {
				t.Errorf("%s: does not say %s", img.Version, img.Unresolved)
			}
			continue
		}
		p := img.Platforms[0]
		for _, want := range []string{img.Source.Sum, img.Source.GoSum, l.Toolchain, p.Manifest, p.Config, p.Layers[0].Digest, p.Layers[0].DiffID, p.Files[0].SHA256, img.Index, digest, "not signed here"} {
			if !strings.Contains(stdout, want) {
				t.Errorf("%s: does not say %s:\n%s", img.Version, want, stdout)
			}
		}
	}
	if code, stdout, _ = onLock(t, t.TempDir(), "explain", "etcd", "-o", "json", "--lock", committed); code != ExitOK || !json.Valid([]byte(stdout)) {
		t.Errorf("exit %d, %s", code, stdout)
	}
}

func TestTheSchemaIsThePublishedOne(t *testing.T) {
	want, err := os.ReadFile("../../../../docs/schema/images-v2.json")
	if err != nil {
		t.Fatal(err)
	}
	if code, stdout, _ := onLock(t, t.TempDir(), "schema"); code != ExitOK || stdout != string(want) {
		t.Errorf("exit %d", code)
	}
}

func TestAnUpdateWithoutANetworkSaysSoAndWritesNothing(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	file := changed(t, func(*lock.Lock) {})
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := onLock(t, t.TempDir(), "update", "etcd", "--lock", file, "--write")
	if code != ExitOK || !strings.Contains(stdout, "stays") || !strings.Contains(stdout, "GOPROXY=off") {
		t.Errorf("exit %d, %s, %s", code, stdout, stderr)
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
		t.Error("the lock has changed")
	}
}

func TestAcceptingIsIssuingTheLockAnew(t *testing.T) {
	file := changed(t, func(*lock.Lock) {})
	before, err := lock.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := onLock(t, t.TempDir(), "accept", "support", "etcd", "coredns", "--reason", "it is mended here", "--until", "2099-01-01", "--lock", file); code != ExitOK {
		t.Fatalf("exit %d, %s", code, stderr)
	}
	after, err := lock.Load(file)
	if err != nil || after.Number != before.Number+1 || len(after.Accepted) != len(before.Accepted)+2 {
		t.Errorf("%+v, %v", after, err)
	}
	if findings(t, t.TempDir(), file)["acceptance"] == 0 {
		t.Error("an acceptance that silences nothing was let pass")
	}
	if code, _, stderr := onLock(t, t.TempDir(), "accept", "support", "etcd", "coredns", "--retract", "--lock", file); code != ExitOK {
		t.Fatalf("exit %d, %s", code, stderr)
	}
	if code, _, stderr := onLock(t, t.TempDir(), "accept", "signed", "etcd", "--reason", "x", "--until", "2099-01-01", "--lock", file); code != ExitFailed || !strings.Contains(stderr, "cannot be accepted") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}
