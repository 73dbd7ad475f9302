package conditions

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/units/drive"
)

// TypeUnits is the type of Units' condition.
const TypeUnits = "UnitsFailed"

// A unit that systemd restarted this often within this time is sick, even if it is active at the
// moment of a look.
const (
	restartsMany  = 3
	restartWindow = 10 * time.Minute
)

// Systemd is what Units needs of systemd.
type Systemd interface {
	States(ctx context.Context, units []string) (map[string]drive.State, error)
	Status(ctx context.Context, unit string) (drive.Status, error)
	Changed() <-chan struct{}
}

// Units watches the units that the plan wants running. It asks for details only after systemd
// has told of a change, or when one is not active.
type Units struct {
	// Wanted returns the names of the units that should be active.
	Wanted  func() ([]string, error)
	Systemd Systemd

	changed <-chan struct{}
	history map[string]restarts
}

// restarts is how often a unit had been restarted at the beginning of the window.
type restarts struct {
	began  time.Time
	before uint32
	now    uint32
}

// Every implements Source.
func (u *Units) Every() time.Duration { return 30 * time.Second }

// Look implements Source.
func (u *Units) Look(ctx context.Context) []protocol.Condition {
	wanted, err := u.Wanted()
	if err != nil {
		return []protocol.Condition{finding(TypeUnits, Unknown, "Unreadable", "%v", err)}
	}
	if len(wanted) == 0 {
		return nil // there is no generation yet
	}
	fresh := u.news()
	states, err := u.Systemd.States(ctx, wanted)
	if err != nil {
		u.changed = nil
		return []protocol.Condition{finding(TypeUnits, Unknown, "Unreadable", "%v", err)}
	}
	var failed, stopped, starting []string
	for _, name := range wanted {
		switch state := states[name]; {
		case state.Active == "failed":
			failed = append(failed, name+u.why(ctx, name))
		case state.Active == "activating" || state.Active == "reloading":
			starting = append(starting, name+" ("+state.Sub+")")
		case state.Active != "active":
			stopped = append(stopped, name)
		}
	}
	flapping := u.flapping(ctx, wanted, fresh || len(failed)+len(stopped)+len(starting) > 0)
	hint := "see `slipway-agent why` and the unit's name"
	switch {
	case len(failed) > 0:
		return []protocol.Condition{finding(TypeUnits, True, "Failed", "%s; %s", strings.Join(failed, ", "), hint)}
	case len(flapping) > 0:
		return []protocol.Condition{finding(TypeUnits, True, "Restarting", "%s; %s", strings.Join(flapping, ", "), hint)}
	case len(stopped) > 0:
		return []protocol.Condition{finding(TypeUnits, True, "Stopped", "%s should be active; %s", strings.Join(stopped, ", "), hint)}
	case len(starting) > 0:
		return []protocol.Condition{finding(TypeUnits, False, "Starting", "%s", strings.Join(starting, ", "))}
	default:
		return []protocol.Condition{finding(TypeUnits, False, "Active", "%d units are active", len(wanted))}
	}
}

// news reports whether any unit changed since the last look.
func (u *Units) news() bool {
	if u.changed != nil {
		select {
		case <-u.changed:
		default:
			return false
		}
	}
	u.changed = u.Systemd.Changed()
	return true
}

func (u *Units) why(ctx context.Context, name string) string {
	status, err := u.Systemd.Status(ctx, name)
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (%s, status %d)", status.Result, status.ExitCode)
}

// flapping returns the units that were restarted too often; ask says that counts may have changed.
func (u *Units) flapping(ctx context.Context, wanted []string, ask bool) (out []string) {
	if u.history == nil {
		u.history = map[string]restarts{}
	}
	for name := range u.history {
		if !slices.Contains(wanted, name) {
			delete(u.history, name)
		}
	}
	now := time.Now()
	for _, name := range wanted {
		h, known := u.history[name]
		if ask || !known {
			status, err := u.Systemd.Status(ctx, name)
			if err != nil {
				continue
			}
			h.now = status.Restarts
		}
		// A count that fell was begun anew: somebody started the unit.
		if !known || h.now < h.before || now.Sub(h.began) > restartWindow {
			h.began, h.before = now, h.now
		}
		u.history[name] = h
		if n := h.now - h.before; n >= restartsMany {
			out = append(out, fmt.Sprintf("%s was restarted %d times within %v", name, n, now.Sub(h.began).Round(time.Second)))
		}
	}
	return out
}
