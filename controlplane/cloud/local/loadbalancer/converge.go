package loadbalancer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"slipway.build/slipway/controlplane/cloud/local/network/namespace"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

// liveLimit is how long a started or reloaded haproxy may take until it works with its
// configuration.
const liveLimit = 15 * time.Second

// converge makes the running balancer what the records say and returns when it is. Several
// callers at a time share their runs.
func (b *Balancers) converge(ctx context.Context, id string) error {
	return b.converging.Do(ctx, id, func(ctx context.Context) error {
		s, err := loadSetup(b.Store, id)
		if errors.Is(err, record.ErrNotFound) || err == nil && s.Balancer.Deleting {
			return b.demolish(ctx, b.name(id), b.dir(id))
		}
		if err != nil {
			return err
		}
		if !s.Balancer.Address.IsValid() {
			return nil // Create was interrupted before it had a port, and comes again
		}
		if err := b.build(ctx, s); err != nil {
			return fmt.Errorf("load balancer %s: %w", s.Balancer.Name, err)
		}
		return nil
	})
}

// build is one run of converge. A balancer without a pool has nobody to hand connections to: it
// needs no container, and refuses them.
func (b *Balancers) build(ctx context.Context, s setup) error {
	id := s.Balancer.ID
	name, dir := b.name(id), b.dir(id)
	port, err := b.port(ctx, s.Balancer, s.Listeners)
	if err != nil {
		return err
	}
	if len(s.Pools) == 0 {
		return b.demolish(ctx, name, dir)
	}
	made, err := namespace.Ensure(name)
	if err != nil {
		return err
	}
	if made {
		// A container that ran before, in a namespace that is gone, is of no use.
		if err := b.Launcher.Stop(ctx, name, 0); err != nil {
			return err
		}
		if err := namespace.Do(name, openLowPorts); err != nil {
			return err
		}
	}
	if err := b.Network.Plug(ctx, port.ID, name); err != nil {
		return err
	}
	conf := render(s)
	running, err := b.answering(ctx, name, dir)
	if err != nil {
		return err
	}
	if !running {
		if err := b.Launcher.Stop(ctx, name, 0); err != nil {
			return err
		}
		if err := b.lay(id); err != nil {
			return fmt.Errorf("lay out the container: %w", err)
		}
		if err := write(dir, s, conf, nil); err != nil {
			return err
		}
		if err := b.start(ctx, id); err != nil {
			return err
		}
		if err := b.awaitRevision(ctx, name, dir, conf.Revision); err != nil {
			return err
		}
		return b.markStarted(ctx, s.Balancer)
	}
	if current, err := revision(ctx, filepath.Join(dir, "state")); err == nil && current == conf.Revision {
		return b.markStarted(ctx, s.Balancer)
	}
	up, err := serversUp(ctx, filepath.Join(dir, "state"))
	if err != nil {
		return fault.Retriablef("%w", err)
	}
	if err := write(dir, s, conf, up); err != nil {
		return err
	}
	if err := reload(ctx, dir); err != nil {
		return err
	}
	return b.awaitRevision(ctx, name, dir, conf.Revision)
}

// openLowPorts lets the unprivileged haproxy listen on any port of its namespace.
func openLowPorts() error {
	return os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("0"), 0)
}

// answering reports whether a haproxy of that name runs and answers, waiting for one that has
// just been started.
func (b *Balancers) answering(ctx context.Context, name, dir string) (bool, error) {
	running, err := b.Launcher.Running(ctx, name)
	if err != nil || !running {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, liveLimit/3)
	defer cancel()
	err = until(ctx, func() (bool, error) {
		if _, err := revision(ctx, filepath.Join(dir, "state")); err == nil {
			return true, nil
		}
		running, err := b.Launcher.Running(ctx, name)
		if err == nil && !running {
			err = errSilent
		}
		return false, err
	})
	if errors.Is(err, errSilent) || errors.Is(err, context.DeadlineExceeded) {
		return false, nil
	}
	return err == nil, err
}

// awaitRevision returns when the running haproxy works with that revision.
func (b *Balancers) awaitRevision(ctx context.Context, name, dir, want string) error {
	ctx, cancel := context.WithTimeout(ctx, liveLimit)
	defer cancel()
	err := until(ctx, func() (bool, error) {
		if current, err := revision(ctx, filepath.Join(dir, "state")); err == nil {
			return current == want, nil
		}
		running, err := b.Launcher.Running(ctx, name)
		if err == nil && !running {
			err = errSilent
		}
		return false, err
	})
	if err != nil {
		return fault.Retriablef("haproxy did not take revision %s: %w; its last words in %s: %s", want, err, filepath.Join(dir, "log"), lastWords(filepath.Join(dir, "log")))
	}
	return nil
}

// markStarted makes Tend watch over the balancer.
func (b *Balancers) markStarted(ctx context.Context, v balancerRecord) error {
	if v.Started {
		return nil
	}
	return b.Store.Update(ctx, func(tx *record.Tx) error {
		current, err := record.Get[balancerRecord](tx, kindBalancer, v.ID)
		if err != nil {
			return err
		}
		current.Started = true
		return tx.Put(kindBalancer, v.ID, current)
	})
}

// reload lets the master process read its configuration again. The master answers nothing while
// it is on an earlier reload.
func reload(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, liveLimit)
	defer cancel()
	var last error
	err := until(ctx, func() (bool, error) {
		_, last = ask(ctx, filepath.Join(dir, "state"), masterSocket, "reload")
		return last == nil, nil
	})
	if err != nil {
		return fault.Retriablef("reload haproxy: %w", errors.Join(err, last))
	}
	return nil
}

// write puts the configuration in its place, and removes files of former ones.
func write(dir string, s setup, conf configuration, up map[string]bool) error {
	files := map[string]string{"haproxy.cfg": conf.Text, "servers": serverStates(s, up)}
	for name, text := range conf.Files {
		files[name] = text
	}
	dir = filepath.Join(dir, "conf")
	for name, text := range files {
		if err := renameio.WriteFile(filepath.Join(dir, name), []byte(text), 0o644, renameio.WithTempDir(dir), renameio.IgnoreUmask()); err != nil {
			return fmt.Errorf("write haproxy's configuration: %w", err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, known := files[e.Name()]; !known {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// lastWords returns the last line of a log.
func lastWords(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return lines[len(lines)-1]
}

// MembersUp returns which members, by address and port, the running balancer checks and found
// up. The id is the balancer's physical one.
func (b *Balancers) MembersUp(ctx context.Context, id string) (map[string]bool, error) {
	s, err := loadSetup(b.Store, id)
	if err != nil {
		return nil, err
	}
	up, err := serversUp(ctx, filepath.Join(b.dir(id), "state"))
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, m := range s.Members {
		out[fmt.Sprintf("%s:%d", m.Address, m.Port)] = up[m.server()]
	}
	return out, nil
}
