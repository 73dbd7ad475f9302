package run

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/testimage"
)

func spec(t *testing.T) (*Spec, string) {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "binary")
	content := testimage.Content("binary", 1<<20)
	if err := os.WriteFile(binary, content, 0o755); err != nil {
		t.Fatal(err)
	}
	return &Spec{
		Unit: "slipway-a.service", Image: "a", Binary: binary, Path: "/usr/bin/a",
		SHA256: testimage.Digest(content)[7:], Size: int64(len(content)),
	}, dir
}

func TestTheBinaryIsOpenedOnlyWhenItIsTheOne(t *testing.T) {
	for name, change := range map[string]func(*Spec){
		"flipped byte": func(s *Spec) {
			file, err := os.OpenFile(s.Binary, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = file.WriteAt([]byte{0}, 5000)
			_ = file.Close()
		},
		"shorter":     func(s *Spec) { _ = os.Truncate(s.Binary, s.Size-1) },
		"longer":      func(s *Spec) { _ = os.Truncate(s.Binary, s.Size+1) },
		"other sum":   func(s *Spec) { s.SHA256 = strings.Repeat("0", 64) },
		"a directory": func(s *Spec) { s.Binary = filepath.Dir(s.Binary) },
		"a tool differs": func(s *Spec) {
			s.Tools = []Tool{{Path: s.Binary, SHA256: strings.Repeat("0", 64), Size: s.Size}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := spec(t)
			file, err := verify(s, false)
			if err != nil {
				t.Fatal(err)
			}
			_ = file.Close()
			change(s)
			var refused *RefusedError
			if _, err := verify(s, false); !errors.As(err, &refused) {
				t.Errorf("error %v, want a refusal", err)
			}
		})
	}
}

func TestLostStateIsRefusedOnlyOnceItWasFilled(t *testing.T) {
	s, dir := spec(t)
	s.State = &plan.State{Dir: filepath.Join(dir, "state"), Sentinel: "member"}
	if _, err := verify(s, false); err != nil {
		t.Errorf("a first start is refused: %v", err)
	}
	s.Filled = true
	var lost *LostStateError
	if _, err := verify(s, false); !errors.As(err, &lost) {
		t.Errorf("error %v, want lost state", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "state", "member"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := verify(s, false); err != nil {
		t.Errorf("state that is there is refused: %v", err)
	}
}

func TestARefusalEndsWithItsStatusAndSaysBothSums(t *testing.T) {
	s, dir := spec(t)
	s.SHA256 = strings.Repeat("0", 64)
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "exec.json")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if status := Main(path, &out); status != ExitRefused {
		t.Errorf("status %d", status)
	}
	if !strings.Contains(out.String(), "expected sha256 000") || !strings.Contains(out.String(), "found sha256 ") {
		t.Errorf("said %q", out.String())
	}
}

func TestOursIsKeptFromTheComponent(t *testing.T) {
	t.Setenv(notifySocket, "/run/systemd/notify")
	t.Setenv(watchdogUsec, "1000")
	t.Setenv(watchdogPID, "1")
	t.Setenv("PATH", "/somewhere")
	env := strings.Join(childEnv([]string{"PATH=/here", "OWN=1"}), "\n")
	for _, name := range []string{notifySocket, watchdogUsec, watchdogPID} {
		if strings.Contains(env, name+"=") {
			t.Errorf("%s reaches the component", name)
		}
	}
	if !strings.HasSuffix(env, "PATH=/here\nOWN=1") || strings.Contains(env, "/somewhere") {
		t.Errorf("the component's own environment does not hold: %s", env)
	}
}
