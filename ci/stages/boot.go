package stages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/google/renameio/v2"

	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/ci/report"
	"slipway.build/slipway/imagebuild/lock"
)

// bootTitle is long enough to say what is compared.
const bootTitle = "Boot a master and a worker from exactly these images, and compare what runs with the lock"

// System is the Slipway that boot holds for the stages that use it.
type System struct {
	Root    string // of the clone; its bin/ has the programs of this run
	State   string
	Cluster string
}

// Slipway runs the operator's command on this system.
func (y System) slipway(ctx context.Context, s *pipeline.Step, out any, args ...string) error {
	c := pipeline.Command{Dir: y.Root, Name: filepath.Join(y.Root, "bin", "slipway"), Args: args, Env: y.Env(), Grace: time.Minute}
	if out == nil {
		return s.Command(ctx, c)
	}
	var text capture
	c.Stdout = &text
	if err := s.Command(ctx, c); err != nil {
		return err
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("slipway %v: %w", args, err)
	}
	return nil
}

// Env has the operator's commands work on this system, whatever the surroundings say.
func (y System) Env() []string { return []string{"SLIPWAY_STATE=" + y.State, "SLIPWAY_ENDPOINT="} }

// capture keeps what a program prints.
type capture []byte

func (c *capture) Write(b []byte) (int, error) {
	*c = append(*c, b...)
	return len(b), nil
}

// boot brings a system up with a cluster of one master and one worker, and holds it.
func (c Config) boot() pipeline.Stage {
	return pipeline.Stage{
		Name: "boot", Title: bootTitle, Version: 1, Heavy: true, Deadline: 20 * time.Minute, Needs: []string{"gate", "sign"},
		Inputs: []pipeline.Input{pipeline.Output("programs", "bin"), pipeline.Output("lock", "lock"), c.request()},
		Run: func(ctx context.Context, s *pipeline.Step) error {
			y, err := c.up(ctx, s, 1)
			if err != nil {
				return err
			}
			checks, err := y.compare(ctx, s)
			return errors.Join(err, s.Fact(report.ChecksFact, checks))
		},
	}
}

// request is the input that says what clusters are asked for.
func (c Config) request() pipeline.Input {
	return pipeline.Path("request", c.in("examples", "cluster-create.json"))
}

// up takes the machine, and brings a system up with a cluster of one master and some workers. The
// stage holds it from then on: it is taken away when the last stage that uses it has ended, and
// whatever happens before.
func (c Config) up(ctx context.Context, s *pipeline.Step, workers int) (System, error) {
	y := System{Root: c.Root, State: c.State, Cluster: "k8s"}
	release, err := c.claim(ctx, s, c.State)
	if err != nil {
		return y, err
	}
	s.Hold(y, func(ctx context.Context) error {
		defer release()
		return y.down(ctx, s)
	})
	if err := install(s.In("programs", "bin"), c.in("bin")); err != nil {
		return y, err
	}
	if err := y.down(ctx, s); err != nil { // what a killed run has left
		return y, fmt.Errorf("clear what an earlier run left: %w", err)
	}
	s.Say("slipway up with one master, workers: %d", workers)
	began := time.Now()
	if err := y.slipway(ctx, s, nil, "up", "--masters", "1", "--nodes", strconv.Itoa(workers)); err != nil {
		return y, err
	}
	s.Say("the cluster is complete after %s", time.Since(began).Round(time.Second))
	return y, nil
}

// install puts this run's programs where the commands start one another from.
func install(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, name := range programNames {
		want, _, err := fileDigest(filepath.Join(from, name))
		if err != nil {
			return err
		}
		if there, _, err := fileDigest(filepath.Join(to, name)); err == nil && there == want {
			continue
		}
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		if err := renameio.WriteFile(filepath.Join(to, name), text, 0o755); err != nil {
			return fmt.Errorf("install %s: %w", name, err)
		}
	}
	return nil
}

// down takes the system away, and checks that it is gone.
func (y System) down(ctx context.Context, s *pipeline.Step) error {
	if err := y.slipway(ctx, s, nil, "down"); err != nil {
		return err
	}
	if _, err := os.Stat(y.State); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("slipway down has left %s", y.State)
	}
	return nil
}

// compareLock holds the lock that the nodes follow against the one that was built in this run.
func (y System) compareLock(s *pipeline.Step) (*lock.Lock, report.Check, error) {
	var none report.Check
	built, err := lock.Load(s.In("lock", "lock"))
	if err != nil {
		return nil, none, err
	}
	want, err := built.Digest()
	if err != nil {
		return nil, none, err
	}
	published, err := lock.Load(filepath.Join(y.State, "control", "lock", "images.yaml"))
	if err != nil {
		return nil, none, fmt.Errorf("the lock that was published to the nodes: %w", err)
	}
	found, err := published.Digest()
	if err != nil {
		return nil, none, err
	}
	if found != want {
		return nil, none, fmt.Errorf("the nodes follow lock %s, built was %s", found, want)
	}
	return built, report.Check{What: "the published lock is the one that was built", Detail: want}, nil
}

// compare holds what the nodes have and run against the lock that was built in this run.
func (y System) compare(ctx context.Context, s *pipeline.Step) ([]report.Check, error) {
	built, same, err := y.compareLock(s)
	if err != nil {
		return nil, err
	}
	checks := []report.Check{same}
	images, err := y.compareImages(ctx, s, built)
	if err != nil {
		return checks, err
	}
	running, err := y.compareProcesses(ctx, s, built)
	return append(append(checks, images...), running...), err
}
