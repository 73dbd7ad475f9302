package imports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const module = "slipway.build/slipway"

// pkg is what `go list -json` tells of a package.
type pkg struct {
	ImportPath string
	Dir        string
	Name       string
	Imports    []string
	Deps       []string
}

// rel is the package's path below the module, "." for its root.
func (p pkg) rel() string { return relative(p.ImportPath) }

func relative(path string) string {
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}

// under reports whether the package path rel is dir or below it.
func under(rel, dir string) bool { return rel == dir || strings.HasPrefix(rel, dir+"/") }

func anyUnder(rel string, dirs []string) bool {
	for _, d := range dirs {
		if under(rel, d) {
			return true
		}
	}
	return false
}

// root is the directory of the module.
func root(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}

// packages lists all packages of the module, with everything that they depend on.
func packages(t *testing.T) []pkg {
	t.Helper()
	all, err := list()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 5 {
		t.Fatalf("go list found only %d packages", len(all))
	}
	return all
}

// list asks the go command once for all tests.
var list = sync.OnceValues(func() ([]pkg, error) {
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Name,Imports,Deps", "./...")
	cmd.Dir = filepath.Dir(strings.TrimSpace(string(mod)))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var all []pkg
	d := json.NewDecoder(bytes.NewReader(out))
	for d.More() {
		var p pkg
		if err := d.Decode(&p); err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		all = append(all, p)
	}
	return all, nil
})

// rule says what the packages below from may use of the module, besides each other.
type rule struct {
	from  string
	allow []string // below the module
	why   string
}

// The directions of design.md, section 1.
var rules = []rule{
	{"agent", []string{"units", "imagebuild/lock"},
		"the agent knows no component and nothing of the control plane"},
	{"units", nil, "units are values of their own"},
	{"imagebuild/lock", []string{"agent/fault"}, "the lock is a leaf that node and control plane share"},
	{"components", []string{"units", "agent/plan", "imagebuild/lock"},
		"a component says what runs, not who builds or drives it"},
	{"imagebuild", []string{"components", "agent/fault", "agent/plan", "agent/protocol", "units"},
		"images are built without a control plane and without an agent"},
	{"controlplane", []string{"components", "units", "agent/plan", "agent/action", "agent/protocol", "imagebuild/lock", "imagebuild/ignition"},
		"the control plane knows a node only through its plan and the node API"},
}

// foreign names modules that a part may not even reach through others.
var foreign = []struct {
	from   string
	forbid []string
	why    string
}{
	{"agent", []string{"k8s.io", "sigs.k8s.io/controller-runtime", "github.com/containerd/containerd", "github.com/gophercloud", "modernc.org/sqlite"},
		"the agent is small and does not depend on what it runs"},
	{"cmd/slipway-agent", []string{"k8s.io", "github.com/containerd/containerd", "github.com/gophercloud", "modernc.org/sqlite"},
		"the agent is small and does not depend on what it runs"},
	{"cmd/slipway-exec", []string{"net/http", "regexp", "golang.org/x", "github.com", "go.etcd.io", module + "/agent/plan"},
		"a supervisor lives beside every component"},
	{"controlplane", []string{"k8s.io/client-go"},
		"the control plane never dials into a cluster"},
	{"cmd/slipwayd", []string{"k8s.io/client-go"},
		"the control plane never dials into a cluster"},
}

func TestImportsGoOneWay(t *testing.T) {
	for _, p := range packages(t) {
		var part *rule
		for i := range rules {
			// The longest match decides: imagebuild/lock is stricter than imagebuild.
			if under(p.rel(), rules[i].from) && (part == nil || len(rules[i].from) > len(part.from)) {
				part = &rules[i]
			}
		}
		for _, dep := range p.Imports {
			if !strings.HasPrefix(dep, module+"/") {
				continue
			}
			rel := relative(dep)
			if under(rel, "cmd") && !under(p.rel(), "cmd") || under(rel, "test") && !under(p.rel(), "test") {
				t.Errorf("%s imports %s: nothing imports commands or tests", p.rel(), rel)
			}
			if part != nil && !under(rel, part.from) && !anyUnder(rel, part.allow) {
				t.Errorf("%s imports %s: %s", p.rel(), rel, part.why)
			}
		}
	}
}

func TestNoPartReachesWhatItMustNot(t *testing.T) {
	for _, p := range packages(t) {
		for _, f := range foreign {
			if !under(p.rel(), f.from) {
				continue
			}
			for _, dep := range p.Deps {
				if anyUnder(dep, f.forbid) {
					t.Errorf("%s depends on %s: %s", p.rel(), dep, f.why)
				}
			}
		}
	}
}

func TestNoPackageHasANameThatSaysNothing(t *testing.T) {
	empty := map[string]bool{"util": true, "utils": true, "common": true, "helper": true, "helpers": true, "manager": true, "misc": true, "base": true, "shared": true}
	for _, p := range packages(t) {
		if empty[p.Name] || empty[filepath.Base(p.Dir)] {
			t.Errorf("package %s: its name does not say its duty", p.rel())
		}
	}
}

func TestEveryPackageSaysItsDuty(t *testing.T) {
	for _, p := range packages(t) {
		if p.Name == "main" || strings.Contains(p.rel(), "imagebuild/component/sources") {
			continue
		}
		files, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		said := false
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			said = said || bytes.Contains(b, []byte("// Package "+p.Name+" "))
		}
		if !said {
			t.Errorf("package %s has no package comment", p.rel())
		}
	}
}
