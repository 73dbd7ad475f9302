package drift

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/units/drive"
)

func TestWhatNobodyAskedForIsPutRight(t *testing.T) {
	r := newRig(t, nil)
	config, unit, spec := r.current("files/b/config"), r.current("units/"+beta), r.current("exec/"+alpha+".json")
	unitText := "[Service]\nExecStart=/x " + plan.Current + "/files/b/config\n"
	specText, err := os.ReadFile(spec)
	must(t, err)
	right := func(path string) bool {
		switch path {
		case config:
			return is(config, "as planned\n", 0o444)
		case unit:
			return is(unit, unitText, 0o444)
		default:
			return is(spec, string(specText), 0o444)
		}
	}
	for name, mutate := range map[string]func(path string) error{
		"content is appended": func(path string) error {
			file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				return err
			}
			_, err = file.WriteString("# mine\n")
			return errors.Join(err, file.Close())
		},
		"one byte is overwritten in place": func(path string) error {
			file, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = file.WriteAt([]byte("#"), 0)
			return errors.Join(err, file.Close())
		},
		"it is truncated":    func(path string) error { return os.Truncate(path, 0) },
		"it is deleted":      os.Remove,
		"it is renamed":      func(path string) error { return os.Rename(path, path+".old") },
		"it is replaced":     func(path string) error { return r.replace(path, "mine", 0o444) },
		"its mode is opened": func(path string) error { return os.Chmod(path, 0o666) },
		"it becomes a link to elsewhere": func(path string) error {
			link := filepath.Join(r.store.Root, "link")
			return errors.Join(os.Symlink("/etc/hostname", link), os.Rename(link, path))
		},
		"it becomes a directory":   func(path string) error { return turnIntoDirectories(path, path+"/sub") },
		"its directory is removed": func(path string) error { return removeTree(filepath.Dir(path)) },
		"its directory is moved away": func(path string) error {
			return os.Rename(filepath.Dir(path), filepath.Join(r.store.Root, "elsewhere-"+filepath.Base(path)))
		},
	} {
		for _, path := range []string{config, unit, spec} {
			t.Run(name+": "+filepath.Base(filepath.Dir(path)), func(t *testing.T) {
				r.t = t
				r.later()
				must(t, mutate(path))
				r.eventually("it is right again", func() bool { return right(path) && r.now().Status == "False" })
				strange, _ := filepath.Glob(filepath.Dir(path) + "/*.old")
				if len(strange) > 0 {
					r.eventually("the stranger is gone", func() bool { _, err := os.Lstat(strange[0]); return errors.Is(err, fs.ErrNotExist) })
				}
			})
		}
	}
	r.t = t
}

// removeTree removes a directory, or as much of it as the guard lets it.
func removeTree(dir string) error {
	if err := os.RemoveAll(dir); err != nil && !errors.Is(err, syscall.ENOTEMPTY) {
		return err
	}
	return nil
}

// turnIntoDirectories removes what is at path and makes directories down to deepest, however
// often the guard puts right what it sees between the two.
func turnIntoDirectories(path, deepest string) error {
	for {
		err := os.Remove(path)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			err = os.MkdirAll(deepest, 0o755)
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) && !errors.Is(err, syscall.ENOTDIR) {
			return err
		}
	}
}

// replace puts another file in the place of one, in one step: the guard sees no other state.
func (r *rig) replace(path, content string, mode os.FileMode) error {
	temp := filepath.Join(r.store.Root, "replacement")
	return errors.Join(os.WriteFile(temp, []byte(content), mode), os.Chmod(temp, mode), os.Rename(temp, path))
}

func TestATouchIsNoDrift(t *testing.T) {
	r := newRig(t, nil)
	must(t, os.Chtimes(r.current("files/b/config"), time.Unix(1, 0), time.Unix(1, 0)))
	must(t, os.Chtimes(r.binary(), time.Unix(1, 0), time.Unix(1, 0)))
	// A change that is repaired shows that the events before it were dealt with.
	must(t, os.Remove(r.current("start")))
	r.eventually("the guard has looked", func() bool { return is(r.current("start"), alpha+"\n"+beta+"\n", 0o444) })
	if info, err := os.Stat(r.current("files/b/config")); err != nil || info.ModTime() != time.Unix(1, 0) {
		t.Errorf("the file was written again: %v, %v", info.ModTime(), err)
	}
	if len(r.aside()) > 0 {
		t.Errorf("moved aside: %v", r.aside())
	}
	r.eventually("the board is told of the repair, and of nothing before", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.told) > 0 && r.told[0].Reason == "Repaired"
	})
}

func TestTheLinkToTheCurrentGenerationIsPutRight(t *testing.T) {
	r := newRig(t, nil)
	for name, mutate := range map[string]func() error{
		"it is removed":                  func() error { return os.Remove(r.store.Current()) },
		"it names the generation before": func() error { return r.store.Switch(1) },
		"it is a directory":              func() error { return turnIntoDirectories(r.store.Current(), r.store.Current()) },
	} {
		t.Run(name, func(t *testing.T) {
			r.t = t
			must(t, mutate())
			r.eventually("it names the guarded one", func() bool { number, err := r.store.CurrentNumber(); return err == nil && number == 2 })
		})
	}
	r.t = t
}

func TestASwitchByTheApplierIsNoDrift(t *testing.T) {
	r := newRig(t, nil)
	release, _, ok := r.guard.Turn.Try("a plan is being applied", nil)
	if !ok {
		t.Fatal("the turn is not free")
	}
	must(t, r.store.Switch(1))
	r.mu.Lock()
	r.entries[1].Step = journal.Abandoned
	r.mu.Unlock()
	release()
	r.guard.Rearm()
	must(t, os.Remove(filepath.Join(r.store.Dir(1), "start")))
	r.eventually("the other generation is guarded", func() bool { return is(filepath.Join(r.store.Dir(1), "start"), alpha+"\n"+beta+"\n", 0o444) })
	if number, err := r.store.CurrentNumber(); err != nil || number != 1 {
		t.Errorf("generation %d is current, %v; the applier chose 1", number, err)
	}
}

func TestAChangedBinaryIsMovedAsideAndFetchedAnewUnderAllItsNames(t *testing.T) {
	for name, mutate := range map[string]func(r *rig) error{
		"a byte of the shared file": func(r *rig) error { return flip(r.binary()) },
		"the generation's name alone": func(r *rig) error {
			return r.replace(r.current("roots/alpha/usr/bin/alpha"), "evil", 0o555)
		},
		"the store's name alone": func(r *rig) error { return r.replace(r.binary(), "evil", 0o555) },
		"the file is deleted": func(r *rig) error {
			err := os.Remove(r.current("roots/alpha/usr/bin/alpha"))
			if gone := os.Remove(r.binary()); !errors.Is(gone, fs.ErrNotExist) { // the guard may have moved it aside by now
				err = errors.Join(err, gone)
			}
			return err
		},
		"anybody may write it":     func(r *rig) error { return os.Chmod(r.binary(), 0o777) },
		"a stranger is beside it":  func(r *rig) error { return os.WriteFile(r.current("roots/alpha/usr/bin/evil"), []byte("evil"), 0o755) },
		"the directory is removed": func(r *rig) error { return removeTree(r.current("roots/alpha/usr")) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			must(t, mutate(r))
			r.eventually("all names have the right bytes", func() bool {
				for _, path := range []string{r.binary(), r.current("roots/alpha/usr/bin/alpha"), filepath.Join(r.store.Dir(1), "roots/alpha/usr/bin/alpha")} {
					if !is(path, string(r.content), 0o555) {
						return false
					}
				}
				_, err := os.Lstat(r.current("roots/alpha/usr/bin/evil"))
				return errors.Is(err, fs.ErrNotExist) && r.now().Status == "False"
			})
			for _, name := range r.aside() {
				info, err := os.Stat(filepath.Join(r.store.Root, "quarantine", name))
				must(t, err)
				if info.Mode().Perm() != 0o400 {
					t.Errorf("what was moved aside has mode %v", info.Mode())
				}
			}
		})
	}
}

func flip(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteAt([]byte{0}, 4096)
	return errors.Join(err, file.Close())
}

func TestAChangedBinaryStaysAwayWhileNoRegistryAnswers(t *testing.T) {
	r := newRig(t, nil)
	r.registry.CloseClientConnections()
	r.registry.Close()
	must(t, flip(r.binary()))
	r.eventually("it is told", func() bool {
		return r.now().Status == "True" && strings.Contains(r.now().Message, "cannot be fetched anew")
	})
	for _, path := range []string{r.binary(), r.current("roots/alpha/usr/bin/alpha"), filepath.Join(r.store.Dir(1), "roots/alpha/usr/bin/alpha")} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s can still be started: %v", path, err)
		}
	}
	if len(r.aside()) != 1 {
		t.Errorf("moved aside: %v, want it once", r.aside())
	}
}

func TestPoliciesOfThePlanAreFollowed(t *testing.T) {
	for _, test := range []struct {
		policy plan.Policy
		status string
		mended bool
		aside  int
	}{
		{plan.DriftIgnore, "False", false, 0}, {plan.DriftReport, "True", false, 0},
		{plan.DriftRepair, "False", true, 0}, {plan.DriftQuarantine, "False", true, 1},
	} {
		t.Run(string(test.policy), func(t *testing.T) {
			r := newRig(t, &plan.Drift{Files: test.policy})
			must(t, r.replace(r.current("files/b/config"), "mine", 0o444))
			// A change of another class shows that the first one was seen.
			must(t, os.Remove(r.current("start")))
			r.eventually("the guard has looked", func() bool { return is(r.current("start"), alpha+"\n"+beta+"\n", 0o444) })
			r.eventually("what the policy says", func() bool {
				return r.now().Status == test.status && is(r.current("files/b/config"), "as planned\n", 0o444) == test.mended && len(r.aside()) == test.aside
			})
		})
	}
}

func TestKeysKeepTheirModesAndContentsAreTheirOwners(t *testing.T) {
	r := newRig(t, nil)
	key := filepath.Join(r.store.Root, "pki/pair/tls.key")
	must(t, os.Chmod(key, 0o644))
	r.eventually("the mode is right", func() bool { return is(key, "tls.key", 0o400) })
	must(t, r.replace(key, "renewed", 0o400))
	must(t, os.Remove(r.current("start")))
	r.eventually("the guard has looked", func() bool { return is(r.current("start"), alpha+"\n"+beta+"\n", 0o444) })
	if !is(key, "renewed", 0o400) || r.now().Status != "False" {
		t.Errorf("a renewed key is drift: %+v", r.now())
	}
}

func TestOnlyAUnitThatRunsByTheChangeIsRestarted(t *testing.T) {
	r := newRig(t, nil)
	r.systemd.Detail(func(unit string, status *drive.Status) {
		status.State, status.MainPID = drive.State{Load: "loaded", Active: "active", Sub: "running"}, 1
		status.Started = time.Now().Add(-time.Hour)
		if unit == beta {
			status.Started = time.Now().Add(time.Hour) // after each change
		}
	})
	must(t, r.replace(r.current("files/b/config"), "mine", 0o444))
	r.eventually("beta is restarted", func() bool { return slices.Contains(r.systemd.Actions(), "restart "+beta) })
	must(t, r.replace(r.current("exec/"+alpha+".json"), "{}", 0o444))
	r.eventually("it is repaired", func() bool { return !is(r.current("exec/"+alpha+".json"), "{}", 0o444) })
	for range 2 * mostStarts {
		must(t, r.replace(r.current("files/b/config"), "mine", 0o444))
		r.eventually("it is repaired", func() bool { return is(r.current("files/b/config"), "as planned\n", 0o444) })
	}
	count := 0
	for _, action := range r.systemd.Actions() {
		if action == "restart "+alpha {
			t.Error("alpha was restarted, though it began before the change")
		}
		if action == "restart "+beta {
			count++
		}
	}
	if count > mostStarts {
		t.Errorf("beta was restarted %d times, at most %d are allowed", count, mostStarts)
	}
}

func TestSomebodyWhoChangesItAgainAndAgainIsLeftAlone(t *testing.T) {
	r := newRig(t, nil)
	config := r.current("files/b/config")
	for range mostRepairs {
		must(t, r.replace(config, "mine", 0o444))
		r.eventually("it is repaired", func() bool { return is(config, "as planned\n", 0o444) })
	}
	must(t, r.replace(config, "mine", 0o444))
	r.eventually("it is told", func() bool { return r.now().Status == "True" && strings.Contains(r.now().Message, "again and again") })
	if !is(config, "mine", 0o444) {
		t.Error("it was repaired once more")
	}
}

func TestADeliveryThatIsGoneIsPutBackFromMemory(t *testing.T) {
	r := newRig(t, nil)
	delivery := r.current("delivery.json")
	before, err := os.ReadFile(delivery)
	must(t, err)
	must(t, removeTree(r.store.Dir(2)))
	r.eventually("the whole generation is back", func() bool {
		return is(delivery, string(before), 0o444) && is(r.current("files/b/config"), "as planned\n", 0o444) &&
			is(r.current("roots/alpha/usr/bin/alpha"), string(r.content), 0o555) && r.now().Status == "False"
	})
}
