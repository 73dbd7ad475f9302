//go:build vm

package vm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway.build/slipway/imagebuild/buildcache"
)

// policyPackage is Debian's policy. The node OS has none: its servers in the local cloud are containers.
const policyPackage = "selinux-policy-default"

const (
	policyDir = "/etc/selinux/default"
	// layerContexts is where the OS layer has the types of its paths, for Fedora's policy.
	layerContexts = "/etc/selinux/targeted/contexts/files/file_contexts.local"
)

// newPolicy returns a directory with Debian's policy, linked of all of its modules as its package does it when it is installed.
func newPolicy(t *testing.T) string {
	t.Helper()
	deb := fetch(t, policyPackage)
	built := strings.TrimSuffix(deb, ".deb") + ".linked"
	if _, err := os.Stat(built); err == nil {
		return built
	}
	temp, err := os.MkdirTemp(filepath.Dir(built), "slipt-policy-")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(temp)) })
	unpacked, linked := filepath.Join(temp, "package"), filepath.Join(temp, "linked")
	_, err = run(t.Context(), "", "dpkg-deb", "-x", deb, unpacked)
	must(t, err)
	must(t, os.MkdirAll(filepath.Join(linked, "var", "lib", "selinux"), 0o755))
	_, err = run(t.Context(), "", "cp", "-a", filepath.Join(unpacked, "etc"), linked)
	must(t, err)
	modules := filepath.Join(unpacked, "usr", "share", "selinux", "default")
	list, err := os.ReadFile(filepath.Join(modules, ".modules"))
	must(t, err)
	args := []string{"-p", linked, "-X", "100", "-n", "-s", "default"}
	for _, m := range strings.Fields(string(list)) {
		args = append(args, "-i", filepath.Join(modules, m+".pp.bz2"))
	}
	_, err = run(t.Context(), "", "semodule", args...)
	must(t, err)
	must(t, os.Rename(linked, built))
	return built
}

// label puts the policy into the guest, with the OS layer's own types beside Debian's, and labels every file by them, as an
// installation does.
func (r root) label(t *testing.T, policy string) {
	t.Helper()
	must(t, os.RemoveAll(r.path(policyDir)))
	_, err := run(t.Context(), "", "cp", "-a", filepath.Join(policy, policyDir), r.path("/etc/selinux/"))
	must(t, err)
	contexts := filepath.Join(policyDir, "contexts", "files", "file_contexts")
	r.write(t, contexts+".local", r.read(t, layerContexts)+"\n", 0o644)
	r.write(t, "/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=default\n", 0o644)
	_, err = run(t.Context(), "", "setfiles", "-m", "-F", "-r", r.dir, r.path(contexts), r.dir)
	must(t, err)
}

// fetch has apt fetch a package once, and returns the file.
func fetch(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(buildcache.Dir(), "vm")
	must(t, os.MkdirAll(dir, 0o755))
	if found, _ := filepath.Glob(filepath.Join(dir, name+"_*.deb")); len(found) == 1 {
		return found[0]
	}
	temp := t.TempDir()
	_, err := run(t.Context(), temp, "apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", name)
	must(t, err)
	found, err := filepath.Glob(filepath.Join(temp, "*.deb"))
	must(t, err)
	if len(found) != 1 {
		t.Fatalf("apt fetched %q", found)
	}
	raw, err := os.ReadFile(found[0])
	must(t, err)
	to := filepath.Join(dir, filepath.Base(found[0]))
	must(t, os.WriteFile(to+".new", raw, 0o644))
	must(t, os.Rename(to+".new", to))
	return to
}
