package components

import (
	"bytes"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/units"
)

var update = flag.Bool("update", false, "write the golden files in testdata")

// cases are the plans whose every byte is kept in testdata.
func cases(t *testing.T) map[string]plan.Plan {
	t.Helper()
	later := testCluster()
	later.EtcdBootstrapped = true
	second := testMaster()
	second.Name, second.Address, second.First, second.Generation, second.MemoryMiB = "k8s-master-1", "10.0.0.11", false, 7, 16384
	out := map[string]plan.Plan{}
	add := func(name string, p plan.Plan, err error) {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = p
	}
	p, err := Master(testCluster(), testMaster())
	add("first-master", p, err)
	p, err = Master(later, second)
	add("later-master", p, err)
	p, err = Worker(testCluster(), testWorker())
	add("worker", p, err)
	verified := testCluster()
	verified.Verification = Verification{Mode: VerifyEnforce, Allow: []string{"registry.example.org/team"}}
	p, err = Worker(verified, testWorker())
	add("worker-enforce", p, err)
	return out
}

// spread returns a plan as files that a person can read: units and files apart.
func spread(t *testing.T, p plan.Plan) map[string]string {
	t.Helper()
	out := map[string]string{}
	p.Files, p.Units = slices.Clone(p.Files), slices.Clone(p.Units)
	for i, f := range p.Files {
		out[filepath.Join("files", f.Path)] = f.Content
		p.Files[i].Content = "(files/" + f.Path + ")"
	}
	for i, u := range p.Units {
		out[filepath.Join("units", u.Name)] = u.Text
		p.Units[i].Text = "(units/" + u.Name + ")"
	}
	b := &bytes.Buffer{}
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(p); err != nil {
		t.Fatal(err)
	}
	out["plan.json"] = b.String()
	return out
}

func TestPlansAreAsTheGoldenFilesSay(t *testing.T) {
	for name, p := range cases(t) {
		t.Run(name, func(t *testing.T) {
			dir, got, want := filepath.Join("testdata", name), spread(t, p), map[string]string{}
			if *update {
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				for file, text := range got {
					file = filepath.Join(dir, file)
					if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				b, err := os.ReadFile(path)
				rel, _ := filepath.Rel(dir, path)
				want[rel] = string(b)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("differs from %s (-update writes it anew):\n%s", dir, d)
			}
		})
	}
}

func TestEveryPlanIsValidAndSurvivesJSON(t *testing.T) {
	for name, p := range cases(t) {
		p.Issue(time.Date(2026, 11, 21, 17, 0, 0, 0, time.UTC), time.Hour) // whoever signs it does
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		first, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back plan.Plan
		if err := json.Unmarshal(first, &back); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if again, err := json.Marshal(back); err != nil || !bytes.Equal(first, again) {
			t.Errorf("%s: changes on its way through JSON: %v", name, err)
		}
	}
}

func TestEqualFactsGiveEqualPlans(t *testing.T) {
	if d := cmp.Diff(cases(t), cases(t)); d != "" {
		t.Error(d)
	}
}

func TestEveryReferenceOfAPlanIsMet(t *testing.T) {
	for name, p := range cases(t) {
		t.Run(name, func(t *testing.T) {
			have := map[string]bool{}
			for _, f := range p.Files {
				have[filepath.Join(plan.Current, "files", f.Path)] = true
			}
			for _, c := range p.Certificates {
				have[certificate(c.Purpose)], have[key(c.Purpose)] = true, true
				if !slices.Contains(Purposes(Role(p.Node.Role)), c.Purpose) {
					t.Errorf("a %s may not ask for %s", p.Node.Role, c.Purpose)
				}
			}
			check := func(where, text string) {
				for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \n\"'=,", r) }) {
					if (strings.HasPrefix(word, plan.PKI) || strings.HasPrefix(word, plan.Current+"/files/")) && filepath.Ext(word) != "" && !have[word] {
						t.Errorf("%s refers to %s, which the plan does not bring", where, word)
					}
				}
			}
			for _, u := range p.Units {
				check(u.Name, strings.Join(u.Exec.Args, " "))
				for _, probe := range []*plan.Probe{u.Exec.Ready, u.Exec.Live} {
					check(u.Name, probe.CA)
				}
			}
			for _, f := range p.Files {
				check(f.Path, f.Content)
			}
			for _, task := range p.Tasks {
				check(task.Name, task.API.CA)
			}
		})
	}
}

// A changed configuration file has to change the unit that reads it, or the agent would see
// no reason to restart it.
func TestAChangedFileChangesItsUnitAndNoOther(t *testing.T) {
	before, err := Worker(testCluster(), testWorker())
	if err != nil {
		t.Fatal(err)
	}
	n := testWorker()
	n.PodCIDR = "10.100.9.0/24"
	after, err := Worker(testCluster(), n)
	if err != nil {
		t.Fatal(err)
	}
	var changed []string
	for i := range before.Units {
		a, err := units.Parse(before.Units[i].Name, before.Units[i].Text)
		if err != nil {
			t.Fatal(err)
		}
		b, err := units.Parse(after.Units[i].Name, after.Units[i].Text)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range units.Diff(a, b) {
			changed = append(changed, a.Name+" "+c.Option)
		}
	}
	if want := []string{"slipway-containerd.service X-Slipway-Files"}; !slices.Equal(changed, want) {
		t.Errorf("changed %v, want %v", changed, want)
	}
}

func TestAMemberNeverStartsAsNewTwice(t *testing.T) {
	for name, p := range cases(t) {
		for _, u := range p.Units {
			if u.Name != "slipway-etcd.service" {
				continue
			}
			want := "--initial-cluster-state=new"
			if name == "later-master" {
				want = "--initial-cluster-state=existing"
			}
			if !slices.Contains(u.Exec.Args, want) || u.Exec.State == nil {
				t.Errorf("%s: %v, state %v", name, u.Exec.Args, u.Exec.State)
			}
		}
	}
}

func TestNothingSecretAndNoKeyOfAnAuthorityIsInAPlan(t *testing.T) {
	for name, p := range cases(t) {
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte("PRIVATE KEY")) || bytes.Contains(b, []byte("cluster-signing")) {
			t.Errorf("%s holds a key", name)
		}
		if p.Node.Role == string(RoleWorker) && len(p.Secrets) > 0 {
			t.Errorf("%s: a worker gets secrets %v", name, p.Secrets)
		}
	}
}
