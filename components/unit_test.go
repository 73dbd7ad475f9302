package components

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/units"
)

// systemd itself is asked about every unit. It looks for the program of ExecStart= on this
// machine, so that one line is set to a program that is there; everything else is as rendered.
func TestSystemdHasNothingToSayAboutTheUnits(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatal("systemd-analyze is missing: make deps installs systemd")
	}
	for name, p := range cases(t) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			args := []string{"verify", "--man=no", "--recursive-errors=no"}
			for _, u := range p.Units {
				text := strings.NewReplacer("ExecStart="+plan.ExecInRoot, "ExecStart=/bin/true", "ExecStart="+plan.ExecBinary, "ExecStart=/bin/true").Replace(u.Text)
				if text == u.Text {
					t.Fatalf("%s does not run the supervisor:\n%s", u.Name, text)
				}
				// A root that is not there is an error of the machine, not of the unit.
				file := filepath.Join(dir, u.Name)
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				args = append(args, file)
			}
			out, err := exec.Command(tool, args...).CombinedOutput()
			if said := strings.TrimSpace(string(out)); err != nil || said != "" {
				t.Errorf("%v:\n%s", err, said)
			}
		})
	}
}

func TestConfinedComponentsHaveNoPrivilege(t *testing.T) {
	must := map[string]string{
		"CapabilityBoundingSet": "", "NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "read-only",
		"SystemCallFilter": "@system-service", "RestrictNamespaces": "yes", "PrivateDevices": "yes", "MemoryDenyWriteExecute": "yes",
		"Type": "notify", "NotifyAccess": "main", "Restart": "always", "ExecStart": "/slipway-exec /exec.json",
	}
	confined := 0
	for name, p := range cases(t) {
		for _, text := range p.Units {
			u, err := units.Parse(text.Name, text.Text)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := u.Last("Service", "RootDirectory"); !ok {
				continue
			}
			confined++
			for option, want := range must {
				if got, ok := u.Last("Service", option); !ok || got != want {
					t.Errorf("%s: %s: %s=%q, want %q", name, u.Name, option, got, want)
				}
			}
			if user, _ := u.Last("Service", "User"); !strings.HasPrefix(user, "slip-") {
				t.Errorf("%s: %s runs as %q", name, u.Name, user)
			}
			if v := u.Values("Service", "BindPaths"); len(v) > 0 {
				t.Errorf("%s: %s may write to %v", name, u.Name, v)
			}
			if v, _ := u.Last("Service", "MemoryMax"); v == "" {
				t.Errorf("%s: %s has no limit of memory", name, u.Name)
			}
		}
	}
	if confined != 8 {
		t.Errorf("%d confined units in all cases, want 8", confined)
	}
}

// No peer's failure may restart a component: what feeds a watchdog asks the process alone.
func TestWatchdogsAskForNothingBeyondTheProcess(t *testing.T) {
	for name, p := range cases(t) {
		for _, u := range p.Units {
			url := u.Exec.Live.URL
			if strings.Contains(url, "readyz") || u.Exec.Image == "kube-apiserver" && !strings.Contains(url, "exclude=etcd&") {
				t.Errorf("%s: %s is alive by %s", name, u.Name, url)
			}
		}
	}
}
