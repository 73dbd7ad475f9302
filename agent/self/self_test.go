package self_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/self"
)

// bench is a node's directory with one generation, and what its launcher did.
type bench struct {
	t       *testing.T
	root    string
	program self.Program
	refuse  error
	noTimer error
	armed   int
	ran     []string // environments
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, root: t.TempDir()}
	content := []byte("program")
	sum := sha256.Sum256(content)
	b.program = self.Program{
		Generation: 7, Image: "agent", Path: "agent", SHA256: hex.EncodeToString(sum[:]), Size: int64(len(content)),
		Deadline: plan.Duration(time.Minute),
	}
	for _, dir := range []string{"generations/7", "state"} {
		b.must(os.MkdirAll(filepath.Join(b.root, dir), 0o755))
	}
	b.must(os.Symlink("generations/7", b.current()))
	b.must(os.WriteFile(filepath.Join(b.current(), "agent"), content, 0o755))
	b.describe()
	return b
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) current() string { return filepath.Join(b.root, "current") }

func (b *bench) describe() {
	raw, err := json.Marshal(b.program)
	b.must(err)
	b.must(os.WriteFile(filepath.Join(b.current(), self.File), raw, 0o644))
}

// launch starts the OS layer's agent and reports whether the plan's program took its place.
func (b *bench) launch(env ...string) bool {
	before := len(b.ran)
	l := &self.Launcher{
		Root:  b.root,
		Check: func(*self.Program) error { return b.refuse },
		Arm:   func(uint64, time.Duration) error { b.armed++; return b.noTimer },
		Exec: func(path string, _, env []string) error {
			if got, err := os.ReadFile(path); err != nil || string(got) != "program" {
				b.t.Errorf("executes %q, %v", got, err)
			}
			b.ran = append(b.ran, env[len(env)-1])
			return errors.New("a test goes on")
		},
		Log: slog.New(slog.DiscardHandler),
	}
	l.Launch([]string{"slipway-agent", "run"}, env)
	return len(b.ran) > before
}

// running is the program as it sees itself after the latest launch.
func (b *bench) running() *self.Running {
	return self.As(filepath.Join(b.root, "state"), b.ran[len(b.ran)-1:])
}

func (b *bench) layer() *self.Running { return self.As(filepath.Join(b.root, "state"), nil) }

func TestAProgramOnTrialIsStartedThreeTimes(t *testing.T) {
	b := newBench(t)
	for i := range 3 {
		if !b.launch() {
			t.Fatalf("start %d did not happen", i+1)
		}
	}
	if b.launch() {
		t.Error("it was started a fourth time")
	}
	differs, err := b.layer().Differs(b.current())
	if differs || !fault.IsTerminal(err) || !strings.Contains(err.Error(), "3 times") {
		t.Errorf("the OS layer's agent sees %v, %v", differs, err)
	}
	if b.armed != 3 {
		t.Errorf("the timer was armed %d times", b.armed)
	}
}

func TestAProvenProgramIsStartedAgainAndAgain(t *testing.T) {
	b := newBench(t)
	for range 20 {
		if !b.launch() {
			t.Fatal("it was not started")
		}
		b.must(b.running().Working(true))
	}
	if b.armed != 1 {
		t.Errorf("the timer was armed %d times, want once", b.armed)
	}
	if differs, err := b.running().Differs(b.current()); differs || err != nil {
		t.Errorf("it differs from itself: %v, %v", differs, err)
	}
	if ended, err := self.Expire(b.root); ended || err != nil {
		t.Errorf("a trial that was passed has expired: %v, %v", ended, err)
	}
}

func TestAProvenProgramThatNoLongerWorksIsGivenUp(t *testing.T) {
	b := newBench(t)
	b.launch()
	b.must(b.running().Working(true))
	starts := 0
	for b.launch() {
		if starts++; starts > 50 {
			t.Fatal("it is started for ever")
		}
	}
	if starts != 10 {
		t.Errorf("%d starts, want 10", starts)
	}
}

func TestWorkThatIsNotConfirmedDoesNotProlongATrial(t *testing.T) {
	b := newBench(t)
	starts := 0
	for b.launch() {
		starts++
		b.must(b.running().Working(false))
	}
	if starts != 3 {
		t.Errorf("%d starts, want 3", starts)
	}
}

func TestATrialThatExpiresEndsTheProgram(t *testing.T) {
	b := newBench(t)
	b.launch()
	if ended, err := self.Expire(b.root); !ended || err != nil {
		t.Fatalf("the trial did not end: %v, %v", ended, err)
	}
	if ended, _ := self.Expire(b.root); ended {
		t.Error("it ended twice")
	}
	if b.launch() {
		t.Error("it was started again")
	}
	if _, err := b.layer().Differs(b.current()); err == nil || !strings.Contains(err.Error(), "within 1m0s") {
		t.Errorf("the reason is %v", err)
	}
}

func TestAnotherGenerationsProgramIsTriedAnew(t *testing.T) {
	b := newBench(t)
	for b.launch() {
	}
	b.program.Generation = 8
	b.describe()
	if !b.launch() {
		t.Error("it was not started")
	}
}

func TestWhatIsNotTheSignedProgramIsNeverStarted(t *testing.T) {
	for name, spoil := range map[string]func(*bench){
		"refused by the chain":     func(b *bench) { b.refuse = errors.New("not in the lock") },
		"no timer for its trial":   func(b *bench) { b.noTimer = errors.New("no systemd") },
		"another byte":             func(b *bench) { b.must(os.WriteFile(filepath.Join(b.current(), "agent"), []byte("prograM"), 0o755)) },
		"another size":             func(b *bench) { b.program.Size++; b.describe() },
		"gone":                     func(b *bench) { b.must(os.Remove(filepath.Join(b.current(), "agent"))) },
		"a path out of the way":    func(b *bench) { b.program.Path = "../../escape"; b.describe() },
		"a description of rubbish": func(b *bench) { b.must(os.WriteFile(filepath.Join(b.current(), self.File), []byte("{"), 0o644)) },
		"no program":               func(b *bench) { b.must(os.Remove(filepath.Join(b.current(), self.File))) },
		"launched already":         nil,
	} {
		b := newBench(t)
		var env []string
		if spoil == nil {
			b.launch()
			env = b.ran
		} else {
			spoil(b)
		}
		if b.launch(env...) {
			t.Errorf("%s: it was started", name)
		}
	}
}

func TestThePlansProgramAndTheLayersDiffer(t *testing.T) {
	b := newBench(t)
	if differs, err := b.layer().Differs(b.current()); !differs || err != nil {
		t.Errorf("the layer's agent under a plan with a program: %v, %v", differs, err)
	}
	b.launch()
	b.must(os.Remove(filepath.Join(b.current(), self.File)))
	if differs, err := b.running().Differs(b.current()); !differs || err != nil {
		t.Errorf("a program under a plan without: %v, %v", differs, err)
	}
	if differs, err := b.layer().Differs(b.current()); differs || err != nil {
		t.Errorf("the layer's agent under a plan without: %v, %v", differs, err)
	}
}
