package ignition

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// root makes the least that Ignition and useradd need to find.
func root(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("Ignition needs root")
	}
	if _, err := os.Stat(DebianBinary); err != nil {
		t.Skip("the package ignition is not installed; make deps installs it")
	}
	// Directories that only root may enter lie above it, as they do above a server's.
	dir := filepath.Join(t.TempDir(), "closed", "root")
	for path, text := range map[string]string{
		"etc/passwd": "root:x:0:0::/root:/bin/sh\n", "etc/shadow": "root:*:1::::::\n", "etc/group": "root:x:0:\n", "etc/gshadow": "root:*::\n",
		"etc/login.defs": "CREATE_HOME yes\n", "etc/hostname": "localhost\n",
		"etc/selinux/config": "SELINUX=disabled\nSELINUXTYPE=targeted\n", "etc/selinux/targeted/contexts/files/file_contexts": "",
		"home/.keep": "", "etc/default/useradd": "SHELL=/bin/sh\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Dir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestIgnitionWritesTheFilesAndTheKeyOfCore(t *testing.T) {
	dir := root(t)
	data, err := UserData(node())
	if err != nil {
		t.Fatal(err)
	}
	if err := (Runner{}).Apply(deadline(t), dir, data); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "home/core/.ssh/authorized_keys.d/ignition")
	for path, want := range map[string]struct {
		mode os.FileMode
		uid  uint32
		text string
	}{
		filepath.Join(dir, "etc/slipway/agent.yaml"): {0o600, 0, "token: one-time"},
		filepath.Join(dir, "etc/hostname"):           {0o644, 0, "k8s-xyz-master-0\n"},
		key:                                          {0o600, 1000, "my_keypair"},
	} {
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm() != want.mode || st.Sys().(*syscall.Stat_t).Uid != want.uid || !strings.Contains(string(text), want.text) {
			t.Errorf("%s: %v of %d: %q", path, st.Mode(), st.Sys().(*syscall.Stat_t).Uid, text)
		}
	}
	if mounts, _ := os.ReadFile("/proc/self/mountinfo"); strings.Contains(string(mounts), "/mnt/sysroot") {
		t.Error("a mount of Ignition's is left on this machine")
	}
}

func TestAnErrorHasIgnitionsReasonAndNoToken(t *testing.T) {
	dir := root(t)
	err := Runner{}.Apply(deadline(t), dir, []byte(`{"ignition":{"version":"3.3.0"},"storage":{"files":[{"path":"/etc/x","contents":{"source":"data:,one-time","verification":{"hash":"sha256-0000000000000000000000000000000000000000000000000000000000000000"}}}]}}`))
	if err == nil || !strings.Contains(err.Error(), "hash verification failed") {
		t.Errorf("error = %v, want Ignition's reason", err)
	}
	if err != nil && strings.Contains(err.Error(), "one-time") {
		t.Errorf("the error shows a token: %v", err)
	}
	if err := (Runner{Binary: "/nonexistent"}).Apply(deadline(t), dir, nil); err == nil || !strings.Contains(err.Error(), "install the package ignition") {
		t.Errorf("without Ignition: %v", err)
	}
}
