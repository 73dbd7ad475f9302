package cache_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway.build/slipway/agent/heat/cache"
	"slipway.build/slipway/agent/heat/metadata"
)

func docs(t *testing.T, pairs ...string) []metadata.Document {
	t.Helper()
	var out []metadata.Document
	for i := 0; i < len(pairs); i += 2 {
		doc, err := metadata.Parse(pairs[i], []byte(pairs[i+1]))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, doc)
	}
	return out
}

func TestTheFilesOfOSCollectConfigAreThere(t *testing.T) {
	dir := t.TempDir()
	c := cache.Cache{Dir: filepath.Join(dir, "lib"), Copy: filepath.Join(dir, "run"), HeatConfig: filepath.Join(dir, "hc", "heat-config")}
	first := docs(t, "heat", `{"b":1,"a":{"x":1},"deployments":[{"id":"1"}]}`, "conf", `{"a":{"y":2}}`)
	if c.Committed(first) {
		t.Error("committed before it was kept")
	}
	if err := errors.Join(c.Keep(first), c.Commit(first)); err != nil {
		t.Fatal(err)
	}
	if !c.Committed(docs(t, "heat", `{"deployments":[{"id":"1"}],"a":{"x":1},"b":1}`)) {
		t.Error("the order of keys makes a difference")
	}
	second := docs(t, "heat", `{"b":2}`)
	if c.Committed(second) {
		t.Error("a change is committed already")
	}
	if err := c.Keep(second); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"lib/heat.json": "{\n \"b\": 2\n}", "lib/heat.json.orig": "\"b\": 1", "lib/heat.json.last": "\"b\": 1",
		"run/heat.json": "\"b\": 2", "lib/os_config_files.json": `["` + dir + `/lib/heat.json"]`, "hc/heat-config": "[]",
	} {
		raw, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil || !strings.Contains(string(raw), want) {
			t.Errorf("%s: %s, %v", path, raw, err)
		}
		if info, err := os.Stat(filepath.Join(dir, path)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", path, info.Mode(), err)
		}
	}
	if names := c.Names(); !slices.Equal(names, []string{"heat"}) {
		t.Errorf("names %v", names)
	}
	if doc, ok := c.Load("heat"); !ok || !doc.Has("b") || doc.Has("a") {
		t.Errorf("loaded %s", doc.Raw)
	}
}

func TestNothingIsWrittenWhenNothingChanged(t *testing.T) {
	dir := t.TempDir()
	c := cache.Cache{Dir: dir}
	same := docs(t, "heat", `{"a":1}`)
	if err := errors.Join(c.Keep(same), c.Commit(same)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	before := inodes(t, dir)
	if err := errors.Join(c.Keep(same), c.Commit(same)); err != nil || inodes(t, dir) != before {
		t.Errorf("files were written: %v", err)
	}
}

func inodes(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.Command("ls", "-i", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestOSApplyConfigMergesWhatWeWrite(t *testing.T) {
	tool, err := exec.LookPath("os-apply-config")
	if err != nil {
		t.Skip("os-apply-config is not installed (apt-get install python3-os-apply-config)")
	}
	dir := t.TempDir()
	c := cache.Cache{Dir: dir}
	if err := c.Keep(docs(t, "heat", `{"a":{"x":1},"l":[1]}`, "conf", `{"a":{"y":2},"l":[2]}`)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tool, "--key", "a", "--type", "raw")
	cmd.Env = append(os.Environ(), "OS_CONFIG_FILES_PATH="+filepath.Join(dir, "os_config_files.json"))
	out, err := cmd.CombinedOutput()
	var got map[string]int
	if err != nil || json.Unmarshal(out, &got) != nil || got["x"] != 1 || got["y"] != 2 {
		t.Errorf("%s, %v", out, err)
	}
}
