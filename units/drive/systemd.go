package drive

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
)

// updateBuffer holds property changes between two turns of the follower; when it overflows
// nothing is lost, because a change only says that states are to be read again.
const updateBuffer = 256

// Systemd is the real Driver. It speaks to systemd's private socket, so that it needs no bus
// daemon; Close ends its goroutine.
type Systemd struct {
	conn *dbus.Conn
	stop context.CancelFunc
	done chan struct{}

	mu      sync.Mutex
	changed chan struct{}
}

// Connect connects to systemd as root.
func Connect(ctx context.Context) (*Systemd, error) {
	conn, err := dbus.NewSystemdConnectionContext(context.WithoutCancel(ctx))
	if err != nil {
		return nil, fmt.Errorf("connect to systemd (are we root, and is systemd process 1?): %w", err)
	}
	if err := conn.Subscribe(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("subscribe to systemd's signals: %w", err)
	}
	follow, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &Systemd{conn: conn, stop: stop, done: make(chan struct{}), changed: make(chan struct{})}
	updates := make(chan *dbus.PropertiesUpdate, updateBuffer)
	overflow := make(chan error, 1)
	conn.SetPropertiesSubscriber(updates, overflow)
	go s.follow(follow, updates, overflow)
	return s, nil
}

// Close ends the connection.
func (s *Systemd) Close() {
	s.stop()
	<-s.done
	s.conn.Close()
}

func (s *Systemd) follow(ctx context.Context, updates <-chan *dbus.PropertiesUpdate, overflow <-chan error) {
	defer close(s.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-overflow:
		case update := <-updates:
			if _, ok := update.Changed["ActiveState"]; !ok {
				continue
			}
		}
		s.mu.Lock()
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
	}
}

// Changed implements Driver.
func (s *Systemd) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Reload implements Driver.
func (s *Systemd) Reload(ctx context.Context) error {
	if err := s.conn.ReloadContext(ctx); err != nil {
		return fmt.Errorf("systemd daemon-reload: %w", err)
	}
	return nil
}

// Queue implements Driver. A unit to be started or restarted is first freed from an earlier
// failure, so that its start limit does not stand in the way.
func (s *Systemd) Queue(ctx context.Context, jobs []Job) (<-chan error, error) {
	for _, job := range jobs {
		if job.Action != Stop {
			// An error means that the unit is not loaded, so it has no failure to forget.
			_ = s.conn.ResetFailedUnitContext(ctx, job.Unit)
		}
	}
	results := make([]chan string, len(jobs))
	out := make(chan error, len(jobs))
	var waits sync.WaitGroup
	for i, job := range jobs {
		results[i] = make(chan string, 1)
		if err := s.queue(ctx, job, results[i]); err != nil {
			return nil, fmt.Errorf("%s %s: %w", job.Action, job.Unit, err)
		}
		waits.Go(func() {
			select {
			case result := <-results[i]:
				if job.Action == Stop {
					// How a unit ended that nobody wants any more is not remembered against it.
					_ = s.conn.ResetFailedUnitContext(ctx, job.Unit)
				}
				if result == "done" {
					out <- nil
				} else {
					out <- &JobError{Job: job, Result: result}
				}
			case <-ctx.Done():
				out <- fmt.Errorf("%s %s: %w", job.Action, job.Unit, context.Cause(ctx))
			}
		})
	}
	go func() {
		waits.Wait()
		close(out)
	}()
	return out, nil
}

func (s *Systemd) queue(ctx context.Context, job Job, result chan<- string) error {
	const mode = "replace"
	var err error
	switch job.Action {
	case Start:
		_, err = s.conn.StartUnitContext(ctx, job.Unit, mode, result)
	case Stop:
		_, err = s.conn.StopUnitContext(ctx, job.Unit, mode, result)
	case Restart:
		_, err = s.conn.RestartUnitContext(ctx, job.Unit, mode, result)
	default:
		err = errors.New("unknown action")
	}
	return err
}

// States implements Driver.
func (s *Systemd) States(ctx context.Context, units []string) (map[string]State, error) {
	out := make(map[string]State, len(units))
	if len(units) == 0 {
		return out, nil
	}
	list, err := s.conn.ListUnitsByNamesContext(ctx, units)
	if err != nil {
		return nil, fmt.Errorf("read the states of %d units: %w", len(units), err)
	}
	for _, unit := range list {
		out[unit.Name] = State{Load: unit.LoadState, Active: unit.ActiveState, Sub: unit.SubState, Queued: unit.JobId != 0}
	}
	return out, nil
}

// Status implements Driver.
func (s *Systemd) Status(ctx context.Context, unit string) (Status, error) {
	general, err := s.conn.GetUnitPropertiesContext(ctx, unit)
	if err != nil {
		return Status{}, fmt.Errorf("read the state of %s: %w", unit, err)
	}
	status := Status{State: State{
		Load:   text(general["LoadState"]),
		Active: text(general["ActiveState"]),
		Sub:    text(general["SubState"]),
	}}
	status.Since = at(general["StateChangeTimestamp"])
	status.Fragment = text(general["FragmentPath"])
	status.DropIns = texts(general["DropInPaths"])
	status.Stale, _ = general["NeedDaemonReload"].(bool)
	status.Requires = append(texts(general["Requires"]), texts(general["BindsTo"])...)
	status.After = texts(general["After"])
	if !strings.HasSuffix(unit, ".service") {
		return status, nil
	}
	service, err := s.conn.GetUnitTypePropertiesContext(ctx, unit, "Service")
	if err != nil {
		return Status{}, fmt.Errorf("read the state of %s: %w", unit, err)
	}
	status.Result = text(service["Result"])
	status.Type = text(service["Type"])
	status.ExitCode, _ = service["ExecMainStatus"].(int32)
	status.ExitKind, _ = service["ExecMainCode"].(int32)
	status.Restarts, _ = service["NRestarts"].(uint32)
	status.MainPID, _ = service["MainPID"].(uint32)
	status.Text = text(service["StatusText"])
	status.Started = at(service["ExecMainStartTimestamp"])
	status.Ended = at(service["ExecMainExitTimestamp"])
	return status, nil
}

func text(value any) string {
	s, _ := value.(string)
	return s
}

func texts(value any) []string {
	list, _ := value.([]string)
	return list
}

// at is systemd's form of a time, microseconds since 1970; 0 is never.
func at(value any) time.Time {
	usec, _ := value.(uint64)
	if usec == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(usec))
}
