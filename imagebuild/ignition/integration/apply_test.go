package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway.build/slipway/imagebuild/ignition/render"
)

const template = `variant: fcos
version: 1.4.0
storage:
  directories:
    - path: /var/lib/etcd
      mode: 0700
  links:
    - path: /etc/localtime
      target: ../usr/share/zoneinfo/Pacific/Auckland
  files:
    - path: /etc/text
      mode: 0640
      contents:
        inline: "tab\there\n  leading\n"
    - path: /etc/packed
      contents:
        inline: "PACKED"
    - path: /etc/sum
      contents:
        inline: x
        verification:
          hash: sha256-2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881
      append:
        - inline: yz
systemd:
  units:
    - name: hello.service
      enabled: true
      contents: |
        [Service]
        ExecStart=/bin/true
        [Install]
        WantedBy=multi-user.target
      dropins:
        - name: 10-x.conf
          contents: |
            [Service]
            Environment=A=B
    - name: zincati.service
      mask: true
`

// packed is long enough for Butane to pack it.
func packed() string { return strings.Repeat("all work and no play ", 100) }

// everything is a configuration with something of each kind.
func everything() string { return strings.Replace(template, "PACKED", packed(), 1) }

// written is what everything writes, by path.
func written() map[string]string {
	return map[string]string{
		"etc/text": "tab\there\n  leading\n", "etc/packed": packed(), "etc/sum": "xyz",
		"etc/systemd/system/hello.service":             "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n",
		"etc/systemd/system/hello.service.d/10-x.conf": "[Service]\nEnvironment=A=B\n",
	}
}

func check(t *testing.T, root string, want map[string]string) {
	t.Helper()
	for path, text := range want {
		if b, err := os.ReadFile(filepath.Join(root, path)); err != nil || string(b) != text {
			t.Errorf("%s: %.100q, %v; want %.100q", path, b, err, text)
		}
	}
	for path, mode := range map[string]os.FileMode{"etc/text": 0o640, "var/lib/etcd": os.ModeDir | 0o700} {
		if st, err := os.Stat(filepath.Join(root, path)); err != nil || st.Mode() != mode {
			t.Errorf("%s: %v, %v; want %v", path, st.Mode(), err, mode)
		}
	}
	for path, target := range map[string]string{"etc/localtime": "../usr/share/zoneinfo/Pacific/Auckland", "etc/systemd/system/zincati.service": "/dev/null"} {
		if got, err := os.Readlink(filepath.Join(root, path)); err != nil || got != target {
			t.Errorf("%s -> %s, %v", path, got, err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(root, "etc/systemd/system-preset/20-ignition.preset")); err != nil || !strings.Contains(string(b), "enable hello.service") {
		t.Errorf("preset: %q, %v", b, err)
	}
}

// apply runs ignition-apply, which is Ignition by another name.
func apply(t *testing.T, p program, root string, config []byte) (string, error) {
	t.Helper()
	dir := t.TempDir()
	name := filepath.Join(dir, "ignition-apply")
	if err := os.Symlink(p.path, name); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "config.ign")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), name, "--root", root, "--offline", file)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "container=slipt"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestIgnitionAppliesWhatIsRendered(t *testing.T) {
	for _, p := range programs(t) {
		t.Run(p.version, func(t *testing.T) {
			text := everything()
			if p.spec == "3.6.0" {
				text = strings.Replace(text, "version: 1.4.0", "version: 1.7.0", 1)
				text = strings.Replace(text, "  files:\n", "  files:\n    - path: /etc/special\n      mode: 04755\n      contents: {inline: x}\n", 1)
			}
			r, err := render.Render(render.Request{File: "x.bu", Butane: []byte(text)})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(r.UserData), `"version":"`+p.spec+`"`) || !strings.Contains(string(r.UserData), `"gzip"`) {
				t.Errorf("user data: %.300s", r.UserData)
			}
			root := sysroot(t)
			if out, err := apply(t, p, root, r.UserData); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			check(t, root, written())
			if p.spec != "3.6.0" {
				return
			}
			if st, err := os.Stat(filepath.Join(root, "etc/special")); err != nil || st.Mode() != os.ModeSetuid|0o755 {
				t.Errorf("special bits: %v, %v", st.Mode(), err)
			}
		})
	}
}

func TestADownConvertedConfigurationIsAppliedByTheOlderIgnition(t *testing.T) {
	text := strings.Replace(everything(), "version: 1.4.0", "version: 1.7.0", 1)
	r, err := render.Render(render.Request{File: "x.bu", Butane: []byte(text), Version: "3.3.0"})
	if err != nil {
		t.Fatal(err)
	}
	root, old := sysroot(t), programs(t)[0]
	if out, err := apply(t, old, root, r.UserData); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	check(t, root, written())
	newer, err := render.Render(render.Request{File: "x.bu", Butane: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := apply(t, old, sysroot(t), newer.UserData); err == nil || !strings.Contains(out, "unsupported config version") {
		t.Errorf("without it: %v: %s", err, out)
	}
}

func TestContentsOfAnotherHashAreRefusedByIgnitionAndBefore(t *testing.T) {
	text := strings.Replace(everything(), "2d71", "0000", 1)
	if _, err := render.Render(render.Request{File: "x.bu", Butane: []byte(text)}); err == nil || !strings.Contains(err.Error(), "Ignition would refuse them") {
		t.Errorf("render: %v", err)
	}
	r, err := render.Render(render.Request{File: "x.bu", Butane: []byte(everything())})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range programs(t) {
		out, err := apply(t, p, sysroot(t), []byte(strings.Replace(string(r.UserData), "2d71", "0000", 1)))
		if err == nil || !strings.Contains(out, "hash verification failed") {
			t.Errorf("%s: %v: %s", p.version, err, out)
		}
	}
}
