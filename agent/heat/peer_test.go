package heat_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"

	"slipway.build/slipway/agent/heat/cache"
	"slipway.build/slipway/agent/heat/testcloud"
)

// flags are os-collect-config's for a section of the metadata.
func flags(collector string, section map[string]any) []string {
	out := []string{}
	options, _ := section[collector].(map[string]any)
	for key, value := range options {
		text, _ := value.(string)
		name := "--" + collector + "-"
		for _, c := range key {
			if c == '_' {
				c = '-'
			}
			name += string(c)
		}
		out = append(out, name, text)
	}
	return out
}

// TestOSCollectConfigFindsTheSame runs the original beside us against the same servers: it shows
// that the servers of these tests speak as OpenStack's do, and that what we leave on the disk is
// what the original leaves.
func TestOSCollectConfigFindsTheSame(t *testing.T) {
	original, err := exec.LookPath("os-collect-config")
	if err != nil || testing.Short() {
		t.Skip("os-collect-config is not installed (apt-get install python3-os-collect-config), or -short")
	}
	for _, collector := range []string{"cfn", "heat", "request"} {
		t.Run(collector, func(t *testing.T) {
			r := newRig(t)
			section := map[string]func() map[string]any{
				"heat": func() map[string]any { return r.cloud.HeatSection() }, "cfn": r.cloud.CFNSection, "request": r.cloud.RequestSection,
			}[collector]()
			section["collectors"] = []string{collector}
			r.boot(section)
			r.cloud.Set("keystone", map[string]any{"db": "mysql://<&>é", "deep": map[string]any{"n": 1.5, "l": []any{1, nil, true}}})
			r.cloud.Deploy(testcloud.Deployment{ID: "1", Name: "run", Config: r.counting("1", "")})
			r.cloud.Deploy(testcloud.Deployment{ID: "2", Name: "conf", Group: "os-apply-config", Config: map[string]any{"keystone": map[string]any{"more": 2}}, Transport: testcloud.NoSignal})
			theirs := cache.Cache{Dir: filepath.Join(r.dir, "theirs")}
			cmd := exec.Command(original, append([]string{
				"--one-time", "--command", "true", "--cachedir", theirs.Dir, "--backup-cachedir", filepath.Join(r.dir, "theirs-copy"), collector,
			}, flags(collector, section)...)...)
			cmd.Env = append(os.Environ(), "no_proxy=*")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			r.start()
			r.await("the commit", func(*status) bool { return r.read("occ/conf.json.last") != "" })
			ours := r.config.Cache
			if got, want := ours.Names(), theirs.Names(); !reflect.DeepEqual(got, want) || len(want) != 2 {
				t.Fatalf("files %v, the original has %v", got, want)
			}
			for _, name := range theirs.Names() {
				for _, suffix := range []string{".json", ".json.last", ".json.orig"} {
					if got, want := decoded(t, ours.Dir, name+suffix), decoded(t, theirs.Dir, name+suffix); !reflect.DeepEqual(got, want) {
						t.Errorf("%s is\n%v, the original has\n%v", name+suffix, got, want)
					}
				}
			}
		})
	}
}

func decoded(t *testing.T, dir, name string) (value any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &value); err != nil {
		t.Fatal(err)
	}
	return value
}
