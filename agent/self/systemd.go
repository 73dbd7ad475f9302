package self

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"

	"slipway.build/slipway/agent/plan"
)

// ExpireCommand is the agent's subcommand that a trial's timer runs.
const ExpireCommand = "trial-end"

// answerLimit bounds the wait for systemd.
const answerLimit = 30 * time.Second

// execLine is systemd's form of a command line in a unit's properties: path, arguments, and whether a
// failure is to be ignored.
type execLine struct {
	Path   string
	Args   []string
	Ignore bool
}

// monotonic is systemd's form of one time of a timer, in microseconds.
type monotonic struct {
	Base string
	USec uint64
}

// Arm has systemd run the OS layer's agent with ExpireCommand after that time. One that is armed
// for the generation already keeps its time. A reboot forgets it; the next launch arms again.
func Arm(generation uint64, after time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	conn, err := dbus.NewWithContext(ctx)
	if err != nil {
		return fmt.Errorf("ask systemd: %w", err)
	}
	defer conn.Close()
	name := fmt.Sprintf("slipway-agent-trial-%d", generation)
	property := func(name string, value any) dbus.Property {
		return dbus.Property{Name: name, Value: godbus.MakeVariant(value)}
	}
	timer := []dbus.Property{
		property("Description", fmt.Sprintf("End of the trial of the agent of generation %d", generation)),
		property("TimersMonotonic", []monotonic{{"OnActiveSec", uint64(after.Microseconds())}}),
		property("AccuracyUSec", uint64(time.Second.Microseconds())),
		property("RemainAfterElapse", false),
	}
	service := []dbus.Property{
		property("Type", "oneshot"),
		property("ExecStart", []execLine{{plan.AgentBinary, []string{plan.AgentBinary, ExpireCommand}, false}}),
		property("CollectMode", "inactive-or-failed"),
	}
	started := make(chan string, 1)
	_, err = conn.StartTransientUnitAux(ctx, name+".timer", "fail", timer, []dbus.PropertyCollection{{Name: name + ".service", Properties: service}}, started)
	var known godbus.Error
	if errors.As(err, &known) && known.Name == "org.freedesktop.systemd1.UnitExists" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("start %s.timer: %w", name, err)
	}
	select {
	case result := <-started:
		if result != "done" {
			return fmt.Errorf("start %s.timer: %s", name, result)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("start %s.timer: %w", name, ctx.Err())
	}
}

// Restart has systemd start the agent's unit anew, whatever runs in it.
func Restart(ctx context.Context) error {
	conn, err := dbus.NewWithContext(ctx)
	if err != nil {
		return fmt.Errorf("ask systemd: %w", err)
	}
	defer conn.Close()
	if _, err := conn.RestartUnitContext(ctx, plan.AgentUnit, "replace", nil); err != nil {
		return fmt.Errorf("restart %s: %w", plan.AgentUnit, err)
	}
	return nil
}
