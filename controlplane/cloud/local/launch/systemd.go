package launch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
	"slipway.build/slipway/controlplane/cloud/local/launch/cgroup"
)

// Systemd launches transient service units of the machine's service manager.
type Systemd struct {
	Tree cgroup.Tree // to find the processes of a unit
	// Connect opens the connection to systemd; default: the system bus, or systemd's own socket.
	Connect func(context.Context) (*dbus.Conn, error)
}

const noSuchUnit = "org.freedesktop.systemd1.NoSuchUnit"

func (s *Systemd) connect(ctx context.Context) (*dbus.Conn, error) {
	connect := s.Connect
	if connect == nil {
		connect = dbus.NewWithContext
	}
	conn, err := connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to systemd: %w", err)
	}
	return conn, nil
}

// Start implements Launcher.
func (s *Systemd) Start(ctx context.Context, spec Spec) error {
	if err := spec.validate(); err != nil {
		return err
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if running, err := s.running(ctx, conn, spec.Name); err != nil || running {
		return errors.Join(err, alreadyRunning(running, spec.Name))
	}
	done := make(chan string, 1)
	if _, err := conn.StartTransientUnitContext(ctx, unit(spec.Name), "replace", properties(spec), done); err != nil {
		return fmt.Errorf("launch %s: start transient unit: %w", spec.Name, err)
	}
	return await(ctx, done, "launch "+spec.Name)
}

// properties are those of the transient unit. Delegate= leaves the cgroup below the unit to
// systemd-nspawn and the systemd in it.
func properties(spec Spec) []dbus.Property {
	property := func(name string, value any) dbus.Property {
		return dbus.Property{Name: name, Value: godbus.MakeVariant(value)}
	}
	p := []dbus.Property{
		dbus.PropDescription("Slipway: " + spec.Name),
		property("Type", "exec"),
		dbus.PropExecStart(spec.Command, false),
		property("Delegate", true),
		property("KillMode", "mixed"),
		property("TimeoutStopUSec", uint64(time.Minute/time.Microsecond)),
		property("CollectMode", "inactive-or-failed"),
		property("TasksMax", ^uint64(0)),
		property("MemoryAccounting", true),
		property("CPUAccounting", true),
		property("StandardOutputFileToAppend", spec.Log),
		property("StandardErrorFileToAppend", spec.Log),
	}
	if spec.Limits.Memory > 0 {
		p = append(p, property("MemoryMax", uint64(spec.Limits.Memory)))
	}
	if spec.Limits.CPUs > 0 {
		p = append(p, property("CPUQuotaPerSecUSec", uint64(spec.Limits.CPUs)*1e6))
	}
	if spec.RestartOn != 0 {
		type statuses struct {
			Codes   []int32
			Signals []int32
		}
		set := statuses{Codes: []int32{int32(spec.RestartOn)}, Signals: []int32{}}
		p = append(p, property("RestartForceExitStatus", set), property("SuccessExitStatus", set))
	}
	return p
}

// Stop implements Launcher.
func (s *Systemd) Stop(ctx context.Context, name string, grace time.Duration) error {
	if !nameForm.MatchString(name) {
		return fmt.Errorf("stop: %q is no name of letters, digits and dashes", name)
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if grace == 0 {
		if err := conn.KillUnitWithTarget(ctx, unit(name), dbus.All, int32(unix.SIGKILL)); err != nil && !isNoSuchUnit(err) && !nothingToKill(err) {
			return fmt.Errorf("stop %s: kill: %w", name, err)
		}
	}
	done := make(chan string, 1)
	if _, err := conn.StopUnitContext(ctx, unit(name), "replace", done); err != nil {
		if isNoSuchUnit(err) {
			return nil
		}
		return fmt.Errorf("stop %s: %w", name, err)
	}
	if grace > 0 {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case result := <-done:
			return jobError(result, "stop "+name)
		case <-ctx.Done():
			return fmt.Errorf("stop %s: %w", name, ctx.Err())
		case <-timer.C:
		}
		if err := conn.KillUnitWithTarget(ctx, unit(name), dbus.All, int32(unix.SIGKILL)); err != nil && !isNoSuchUnit(err) && !nothingToKill(err) {
			return fmt.Errorf("stop %s: kill after %s: %w", name, grace, err)
		}
	}
	return await(ctx, done, "stop "+name)
}

// Running implements Launcher.
func (s *Systemd) Running(ctx context.Context, name string) (bool, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	return s.running(ctx, conn, name)
}

func (s *Systemd) running(ctx context.Context, conn *dbus.Conn, name string) (bool, error) {
	state, err := conn.GetUnitPropertyContext(ctx, unit(name), "ActiveState")
	if err != nil {
		return false, fmt.Errorf("state of %s: %w", unit(name), err)
	}
	switch state.Value.Value() {
	case "active", "activating", "reloading", "deactivating":
		return true, nil
	}
	return false, nil
}

// Processes implements Launcher.
func (s *Systemd) Processes(ctx context.Context, name string) ([]int, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	group, err := conn.GetServicePropertyContext(ctx, unit(name), "ControlGroup")
	if err != nil {
		return nil, fmt.Errorf("cgroup of %s: %w", unit(name), err)
	}
	path, _ := group.Value.Value().(string)
	if path == "" || path == "/" {
		return nil, nil
	}
	return s.Tree.Processes(path)
}

// List implements Launcher.
func (s *Systemd) List(ctx context.Context, prefix string) ([]string, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	units, err := conn.ListUnitsByPatternsContext(ctx, nil, []string{prefix + "*.service"})
	if err != nil {
		return nil, fmt.Errorf("list units %s*: %w", prefix, err)
	}
	var names []string
	for _, u := range units {
		names = append(names, strings.TrimSuffix(u.Name, ".service"))
	}
	return names, nil
}

func unit(name string) string { return name + ".service" }

func await(ctx context.Context, done <-chan string, doing string) error {
	select {
	case result := <-done:
		return jobError(result, doing)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	}
}

func jobError(result, doing string) error {
	if result == "done" {
		return nil
	}
	return fmt.Errorf("%s: systemd's job ended as %q; see journalctl", doing, result)
}

func isNoSuchUnit(err error) bool {
	var e godbus.Error
	return errors.As(err, &e) && e.Name == noSuchUnit
}

// nothingToKill is systemd's answer when the unit is loaded but has no process.
func nothingToKill(err error) bool {
	var e godbus.Error
	return errors.As(err, &e) && e.Name == "org.freedesktop.systemd1.NoSuchProcess" || errors.As(err, &e) && strings.Contains(e.Error(), "No process to kill")
}
