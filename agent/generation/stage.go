package generation

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/durable"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/run"
	"slipway.build/slipway/agent/self"
	"slipway.build/slipway/agent/trust"
	"slipway.build/slipway/imagebuild/lock"
)

const tempSuffix = ".tmp"

// mountPoints returns the directories of every component's root that systemd mounts something on.
func mountPoints() []string { return []string{"proc", "sys", "dev", "run", "tmp", "etc", "var"} }

// Stage writes a checked plan as a generation, whole and durable, and shows it under its number
// by one rename. Its images must be in the store. filled names the state directories that were
// filled before. Staging again replaces a generation that is not current.
func (s *Store) Stage(checked *trust.Checked, delivery protocol.Delivery, filled map[string]bool) error {
	number := checked.Plan.Generation
	final := s.Dir(number)
	w := &stager{dir: final + tempSuffix}
	err := errors.Join(os.RemoveAll(w.dir), os.MkdirAll(w.dir, 0o755))
	if err == nil {
		err = s.stage(w, checked, delivery, filled)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("stage generation %d: %w", number, err), os.RemoveAll(w.dir))
	}
	if err := durable.RemoveAll(final); err != nil {
		return fmt.Errorf("stage generation %d: %w", number, err)
	}
	if err := os.Rename(w.dir, final); err != nil {
		return fmt.Errorf("stage generation %d: %w", number, err)
	}
	// The root, too: images, keys and secrets may have got their directories only just now.
	return errors.Join(durable.SyncDir(filepath.Dir(final)), durable.SyncDir(s.Root))
}

func (s *Store) stage(w *stager, checked *trust.Checked, delivery protocol.Delivery, filled map[string]bool) error {
	canonical, err := checked.Plan.Canonical()
	if err != nil {
		return err
	}
	w.write("plan.json", canonical, 0o444)
	w.json("delivery.json", delivery)
	for _, file := range checked.Plan.Files {
		mode, err := strconv.ParseUint(file.Mode, 8, 32)
		if err != nil {
			return err
		}
		w.write(filepath.Join("files", filepath.FromSlash(file.Path)), []byte(file.Content), os.FileMode(mode))
	}
	var start []string
	w.mkdir("units")
	for _, unit := range checked.Plan.Units {
		w.write(filepath.Join("units", unit.Name), []byte(unit.Text), 0o444)
		if unit.Start {
			start = append(start, unit.Name)
		}
		if unit.Exec != nil {
			w.json(filepath.Join("exec", unit.Name+".json"), s.spec(checked, unit, filled))
		}
	}
	if agent := checked.Plan.Agent; agent != nil {
		w.json(self.File, program(checked, agent))
	}
	w.write("start", []byte(strings.Join(append(start, ""), "\n")), 0o444)
	s.roots(w, checked)
	return w.sync()
}

// spec is the exec file of a unit: what the plan says, with the digests that the lock says.
func (s *Store) spec(checked *trust.Checked, unit plan.Unit, filled map[string]bool) run.Spec {
	exec := unit.Exec
	platform := checked.Platforms[exec.Image]
	binary, _ := platform.File(exec.Binary) // trust made sure of it
	spec := run.Spec{
		Unit: unit.Name, Image: exec.Image, Digest: platform.Manifest,
		Binary: s.hostPath(exec.Image, exec.Binary), Path: "/" + exec.Binary,
		SHA256: binary.SHA256, Size: binary.Size,
		Args: exec.Args, Env: exec.Env, State: exec.State, Await: exec.Await, Ready: exec.Ready, Live: exec.Live,
		Filled: exec.State != nil && filled[exec.State.Dir],
	}
	for _, tool := range exec.Tools {
		for _, file := range checked.Platforms[tool].Files {
			spec.Tools = append(spec.Tools, run.Tool{Path: s.hostPath(tool, file.Path), SHA256: file.SHA256, Size: file.Size})
		}
	}
	return spec
}

// program is the description of the agent that the plan brings.
func program(checked *trust.Checked, agent *plan.Agent) self.Program {
	binary, _ := checked.Platforms[agent.Image].File(agent.Binary) // trust made sure of it
	return self.Program{
		Generation: checked.Plan.Generation, Image: agent.Image, Path: filepath.Join("roots", agent.Image, filepath.FromSlash(agent.Binary)),
		SHA256: binary.SHA256, Size: binary.Size, Deadline: checked.Plan.Deadline,
	}
}

func (s *Store) hostPath(image, file string) string {
	return filepath.Join(s.Current(), "roots", image, filepath.FromSlash(file))
}

// roots makes one root per image that units use: the image's files as links into the store, so
// that they take no space and are the verified bytes themselves, and empty mount points.
func (s *Store) roots(w *stager, checked *trust.Checked) {
	mounts := map[string][]string{}
	for _, unit := range checked.Plan.Units {
		if unit.Exec == nil {
			continue
		}
		mounts[unit.Exec.Image] = append(mounts[unit.Exec.Image], unit.Exec.Mounts...)
		for _, tool := range unit.Exec.Tools {
			mounts[tool] = append(mounts[tool], []string{}...)
		}
	}
	if agent := checked.Plan.Agent; agent != nil {
		mounts[agent.Image] = append(mounts[agent.Image], []string{}...)
	}
	components := map[string]bool{}
	for _, unit := range checked.Plan.Units {
		if unit.Exec != nil {
			components[unit.Exec.Image] = true
		}
	}
	for image, dirs := range mounts {
		base := filepath.Join("roots", image)
		platform := checked.Platforms[image]
		for _, file := range platform.Files {
			w.link(filepath.Join(s.Images.Root(platform.Manifest), filepath.FromSlash(file.Path)), filepath.Join(base, filepath.FromSlash(file.Path)), file)
		}
		if !components[image] {
			continue
		}
		for _, dir := range slices.Concat(mountPoints(), dirs) {
			w.mkdir(filepath.Join(base, filepath.FromSlash(dir)))
		}
		w.write(filepath.Join(base, plan.ExecInRoot), nil, 0o555)
		w.write(filepath.Join(base, plan.SpecInRoot), nil, 0o444)
	}
}

// stager writes files below dir; the first error sticks. Syncing comes once, at the end: the
// first sync commits most of what the others would wait for one by one.
type stager struct {
	dir   string
	err   error
	files []string
	// list, when not nil, is told what would be written, and nothing is.
	list func(Item)
}

func (w *stager) mkdir(name string) {
	if w.list != nil {
		w.list(Item{Path: name, Mode: fs.ModeDir | 0o755})
		return
	}
	if w.err == nil {
		w.err = os.MkdirAll(filepath.Join(w.dir, name), 0o755)
	}
}

func (w *stager) write(name string, content []byte, mode os.FileMode) {
	w.mkdir(filepath.Dir(name))
	if w.list != nil {
		w.list(Item{Path: name, Mode: mode, Content: content})
		return
	}
	if w.err != nil {
		return
	}
	path := filepath.Join(w.dir, name)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		w.err = err
		return
	}
	_, err = file.Write(content)
	w.err = errors.Join(err, file.Chmod(mode))
	if w.err == nil && len(content) > 0 {
		// A hint to begin; sync waits for it.
		_ = unix.SyncFileRange(int(file.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
	}
	w.err = errors.Join(w.err, file.Close())
	w.files = append(w.files, path)
}

func (w *stager) json(name string, value any) {
	raw, err := json.Marshal(value)
	if err != nil {
		w.err = errors.Join(w.err, err)
		return
	}
	w.write(name, raw, 0o444)
}

func (w *stager) link(from, name string, file lock.Binary) {
	w.mkdir(filepath.Dir(name))
	if w.list != nil {
		w.list(Item{Path: name, Store: from, SHA256: file.SHA256, Size: file.Size})
		return
	}
	if w.err == nil {
		w.err = os.Link(from, filepath.Join(w.dir, name))
	}
}

func (w *stager) sync() error {
	if w.err != nil || w.list != nil {
		return w.err
	}
	for _, path := range w.files {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		if err := errors.Join(file.Sync(), file.Close()); err != nil {
			return fmt.Errorf("sync %s: %w", path, err)
		}
	}
	return filepath.WalkDir(w.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		return durable.SyncDir(path)
	})
}
