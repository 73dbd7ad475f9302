package faults

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/pull"
	"slipway.build/slipway/agent/run"
)

// tree is the agent's directory, of a node or of a replayed power loss.
type tree string

func (d tree) path(name string) string { return filepath.Join(string(d), name) }

// current returns the number of the current generation, 0 when there is none.
func (d tree) current() (uint64, error) {
	target, err := os.Readlink(d.path("current"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	rest, ok := strings.CutPrefix(target, "generations/")
	if !ok {
		return 0, fmt.Errorf("current points to %q", target)
	}
	return strconv.ParseUint(rest, 10, 64)
}

// holds checks that a generation is there whole: every file of it as its plan says, and the
// secrets and keys that it refers to.
func (d tree) holds(s *shape) error {
	base := d.path(fmt.Sprintf("generations/%d", s.number))
	canonical, err := s.plan.Canonical()
	if err != nil {
		return err
	}
	want := map[string]string{"plan.json": string(canonical), "start": ""}
	for _, file := range s.plan.Files {
		want["files/"+file.Path] = file.Content
	}
	for _, unit := range s.plan.Units {
		want["units/"+unit.Name] = unit.Text
		want["start"] += unit.Name + "\n"
		for _, name := range []string{plan.ExecInRoot, plan.SpecInRoot} {
			want["roots/"+unit.Exec.Image+name] = ""
		}
	}
	var errs []error
	seen := map[string]bool{}
	err = filepath.WalkDir(base, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(base, path)
		if err != nil {
			return err
		}
		if entry.Type() == fs.ModeSymlink && strings.HasPrefix(name, "roots/") && strings.Count(name, "/") == 2 {
			return nil // systemd makes bin, lib and their like in a root (base_filesystem_create)
		}
		seen[name] = true
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		content, known := want[name]
		switch {
		case name == "delivery.json":
			if !json.Valid(raw) {
				errs = append(errs, errors.New("delivery.json is no JSON"))
			}
		case strings.HasPrefix(name, "exec/"):
			errs = append(errs, specIs(raw, s, strings.TrimSuffix(filepath.Base(name), ".json")))
		case known && content != string(raw):
			errs = append(errs, fmt.Errorf("%s is %q, want %q", name, raw, content))
		case !known:
			errs = append(errs, s.locked(name, raw))
		}
		return nil
	})
	errs = append(errs, err)
	for _, unit := range s.plan.Units {
		want["exec/"+unit.Name+".json"] = ""
		for _, file := range s.images[unit.Exec.Image].Platform().Files {
			want["roots/"+unit.Exec.Image+"/"+file.Path] = ""
		}
	}
	for name := range want {
		if !seen[name] {
			errs = append(errs, fmt.Errorf("%s is missing", name))
		}
	}
	errs = append(errs, d.holdsSecrets(s))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("generation %d: %w", s.number, err)
	}
	return nil
}

// locked checks a file of an image against the lock.
func (s *shape) locked(name string, raw []byte) error {
	parts := strings.SplitN(name, "/", 3)
	if len(parts) == 3 && parts[0] == "roots" && s.images[parts[1]] != nil {
		if file, ok := s.images[parts[1]].Platform().File(parts[2]); ok {
			if file.SHA256 == sum(raw) {
				return nil
			}
			return fmt.Errorf("%s has sha256 %s, the lock says %s", name, sum(raw), file.SHA256)
		}
	}
	return fmt.Errorf("%s does not belong there", name)
}

func sum(raw []byte) string {
	digest := sha256.Sum256(raw)
	return hex.EncodeToString(digest[:])
}

func specIs(raw []byte, s *shape, unit string) error {
	var spec run.Spec
	if err := json.Unmarshal(raw, &spec); err != nil {
		return fmt.Errorf("exec file of %s: %w", unit, err)
	}
	wanted := unitOf(s.plan, unit)
	if wanted == nil {
		return fmt.Errorf("exec file of %s, which is no unit of the plan", unit)
	}
	file, _ := s.images[wanted.Exec.Image].Platform().File(wanted.Exec.Binary)
	if spec.SHA256 != file.SHA256 || !slices.Equal(spec.Args, wanted.Exec.Args) {
		return fmt.Errorf("exec file of %s says %s %q, want %s %q", unit, spec.SHA256, spec.Args, file.SHA256, wanted.Exec.Args)
	}
	return nil
}

func (d tree) holdsSecrets(s *shape) error {
	var errs []error
	for _, wanted := range s.plan.Secrets {
		raw, err := os.ReadFile(d.path("secrets/" + wanted.Name + "@" + wanted.Version))
		if err == nil && string(raw) != secret(s.version) {
			err = fmt.Errorf("secret %s is %q", wanted.Name, raw)
		}
		errs = append(errs, err)
	}
	for _, wanted := range s.plan.Certificates {
		dir := d.path("pki/" + wanted.Name)
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
		if _, ok := pair.PrivateKey.(*ecdsa.PrivateKey); err == nil && !ok {
			err = fmt.Errorf("key of %s is of type %T", wanted.Name, pair.PrivateKey)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// temporary are names that only an interrupted write leaves.
var temporary = regexp.MustCompile(`(^|/)\.|\.tmp|tmp-`)

// tidy checks that nothing is there but what the kept generations need, and the strangers.
func (d tree) tidy(kept ...*shape) error {
	want := map[string]bool{}
	for _, s := range kept {
		want[fmt.Sprintf("generations/%d", s.number)] = true
		for _, image := range s.images {
			want["images/"+strings.TrimPrefix(image.Platform().Manifest, "sha256:")] = true
		}
		for _, wanted := range s.plan.Secrets {
			want["secrets/"+wanted.Name+"@"+wanted.Version] = true
		}
		for _, wanted := range s.plan.Certificates {
			want["pki/"+wanted.Name] = true
		}
	}
	for name := range strangers() {
		want[name] = true
		want[filepath.Dir(name)] = true
	}
	var errs []error
	for _, dir := range []string{"generations", "images", "secrets", "pki"} {
		entries, err := os.ReadDir(d.path(dir))
		errs = append(errs, err)
		for _, entry := range entries {
			if name := dir + "/" + entry.Name(); !want[name] {
				errs = append(errs, fmt.Errorf("%s is left over", name))
			}
		}
	}
	for name := range want {
		if _, err := os.Lstat(d.path(name)); err != nil {
			errs = append(errs, err)
		}
	}
	for name, content := range strangers() {
		if raw, err := os.ReadFile(d.path(name)); err != nil || string(raw) != content {
			errs = append(errs, fmt.Errorf("%s, which the agent never wrote, is %q (%v)", name, raw, err))
		}
	}
	errs = append(errs, filepath.WalkDir(string(d), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // just removed
			}
			return err
		}
		if name, _ := filepath.Rel(string(d), path); name != "." && temporary.MatchString(name) {
			return fmt.Errorf("%s is left over", name)
		}
		return nil
	}))
	store := pull.Store{Dir: d.path("images")}
	for _, s := range kept {
		for _, image := range s.plan.Images {
			wanted := pull.Want{Name: image.Name, Manifest: image.Digest, Locked: s.images[image.Name].Platform(), Root: image.Import == "", Layout: image.Import != ""}
			if !store.Has(wanted) {
				errs = append(errs, fmt.Errorf("image %s of generation %d is not in the store", image.Name, s.number))
			}
		}
	}
	return errors.Join(errs...)
}

// strangers are files in the agent's directory that the agent never wrote.
func strangers() map[string]string {
	return map[string]string{
		"README": "an operator's", "generations/README": "an operator's", "images/README": "an operator's",
		"secrets/README": "an operator's", "pki/stranger/ca.key": "somebody else's", "state/README": "an operator's",
	}
}

// strangerUnit is a unit that no plan knows.
const strangerUnit = "/etc/systemd/system/stranger.service"

func (w *world) strangers() {
	for name, content := range strangers() {
		path := w.node.State(name)
		must(w.t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(w.t, os.WriteFile(path, []byte(content), 0o600))
	}
	must(w.t, w.node.Write(strangerUnit, "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n", 0o644))
}
