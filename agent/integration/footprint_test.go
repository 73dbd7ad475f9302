package integration

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/test/testnode"
)

// What the benchmark bench/agent asks for; a test alone is short.
var (
	footprintReport  = flag.String("footprint-report", "", "file to write the agent's footprint to, as JSON")
	footprintIdle    = flag.Duration("footprint-idle", 3*time.Second, "how long to watch the agent at rest")
	footprintChanges = flag.Int("footprint-changes", 2, "how many changes to time")
)

// components is how many a master has.
const components = 7

// Footprint is what an agent costs, with the supervisors of its components. Times are in
// seconds, memory is in KiB (proportional set size).
type Footprint struct {
	Agent       int       `json:"agent"`
	Anonymous   int       `json:"anonymous"` // of the agent's: what no file backs
	Supervisors []int     `json:"supervisors"`
	Idle        float64   `json:"idle"`       // how long it was watched
	Processor   float64   `json:"processor"`  // used meanwhile, by all of them
	AgentAlone  float64   `json:"agentAlone"` // of that, by the agent
	Start       []float64 `json:"start"`      // from the start of the process to its first request
	Reaction    []float64 `json:"reaction"`   // from the change to the agent's first report about it
	Effect      []float64 `json:"effect"`     // from the change to the start of what it changes
	Done        []float64 `json:"done"`       // from the change to the report that all is healthy
}

// TestAnAgentAtRestIsSmall measures an agent on a node with as many components and checks as a
// master has: memory, processor time at rest, start and reaction.
func TestAnAgentAtRestIsSmall(t *testing.T) {
	w := newWorld(t)
	w.plane.Life = 0 // a day; in the other tests certificates are renewed all the while
	master := w.master()
	for _, program := range []string{plan.AgentBinary, plan.ExecBinary} {
		uncached(t, w.node.Path(program))
	}
	w.node.boot()
	defer w.node.powerOff()
	w.apply(protocol.Healthy, master)
	var f Footprint
	f.Start = w.starts(5)
	f.rest(w, *footprintIdle)
	f.changes(w, master, *footprintChanges)
	t.Logf("%+v", f)
	const most = 64 << 10 // no figure of this machine: what would be a leak on any
	if total := f.Agent + sum(f.Supervisors); total > most {
		t.Errorf("agent and supervisors take %d KiB at rest", total)
	}
	if *footprintReport != "" {
		raw, err := json.Marshal(f)
		must(t, err)
		must(t, os.WriteFile(*footprintReport, raw, 0o644))
	}
}

// uncached has a file read from the disk again, as after a boot: what was just written lies in
// the page cache in larger pieces, of which more is mapped than is used.
func uncached(t *testing.T, path string) {
	t.Helper()
	file, err := os.Open(path)
	must(t, err)
	defer func() { _ = file.Close() }()
	must(t, file.Sync())
	must(t, unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED))
}

// master returns the change that makes a plan as large as a master's: seven components and an
// etcd to check.
func (w *world) master() func(*plan.Plan) {
	etcd := httptest.NewServer(http.HandlerFunc(member))
	w.t.Cleanup(etcd.Close)
	addresses := make([]string, components-2)
	for i := range addresses {
		addresses[i] = testnode.FreeAddress(w.t)
	}
	return func(p *plan.Plan) {
		p.Checks = []plan.Check{{Type: plan.CheckEtcd, Endpoint: etcd.URL}}
		for i := range p.Units { // as a master's: every ten seconds
			if live := p.Units[i].Exec.Live; live != nil {
				live.Interval = plan.Duration(10 * time.Second)
			}
			p.Units[i].Text = strings.Replace(p.Units[i].Text, "WatchdogSec="+watchdog, "WatchdogSec=90s", 1)
		}
		for i, address := range addresses {
			name := fmt.Sprintf("slipway-more-%d.service", i)
			probe := &plan.Probe{URL: "http://" + address + "/healthz", Interval: plan.Duration(10 * time.Second)}
			p.Units = append(p.Units, plan.Unit{
				Name: name, Start: true, Text: service(alpha, testnode.OnHost(name), "WatchdogSec=90s\n"),
				Exec: &plan.Exec{Image: "beta", Binary: "usr/bin/beta", Args: []string{"--listen", address}, Ready: probe, Live: probe},
			})
		}
	}
}

// member answers as etcd's metrics listener does, as long as that.
func member(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/health" {
		_, _ = fmt.Fprint(rw, `{"health":"true","reason":""}`)
		return
	}
	for i := range 1500 {
		_, _ = fmt.Fprintf(rw, "etcd_debugging_some_histogram_of_a_member_bucket{le=\"0.%04d\"} %d\n", i, i)
	}
}

// starts restarts the agent and returns the times until its requests arrived.
func (w *world) starts(times int) (out []float64) {
	w.t.Helper()
	for range times {
		w.node.do("systemctl", "stop", plan.AgentUnit)
		before := w.plane.Polls()
		w.node.do("systemctl", "start", "--no-block", plan.AgentUnit)
		for deadline := time.Now().Add(4 * time.Minute); w.plane.Polls() == before; time.Sleep(100 * time.Microsecond) {
			if time.Now().After(deadline) {
				w.t.Fatal("the agent that was restarted asks for nothing")
			}
		}
		arrived := monotonic()
		out = append(out, arrived-w.started(plan.AgentUnit))
	}
	return out
}

// started returns when a unit's main process was started, in seconds of the monotonic clock,
// which node and test share.
func (w *world) started(unit string) float64 {
	w.t.Helper()
	text := w.node.show(unit, "ExecMainStartTimestampMonotonic")
	usec, err := strconv.ParseInt(text, 10, 64)
	must(w.t, err)
	return float64(usec) / 1e6
}

func monotonic() float64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err) // there is no kernel without it
	}
	return float64(ts.Nano()) / 1e9
}

// rest watches the agent and the supervisors for a time.
func (f *Footprint) rest(w *world, long time.Duration) {
	w.t.Helper()
	w.node.eventually("the plan is done again", func() bool {
		out, err := w.node.try("slipway-agent", "status")
		return err == nil && strings.Contains(out, "the plan is done")
	})
	pids := w.ours()
	begun, before, alone := time.Now(), 0.0, processor(w.t, pids[0])
	for _, pid := range pids {
		before += processor(w.t, pid)
	}
	time.Sleep(long) // at rest: the time is what is measured
	for _, pid := range pids {
		f.Processor += processor(w.t, pid)
	}
	f.Processor -= before
	f.AgentAlone = processor(w.t, pids[0]) - alone
	f.Idle = time.Since(begun).Seconds()
	f.Agent, f.Anonymous = pss(w.t, pids[0], "Pss:"), pss(w.t, pids[0], "Pss_Anon:")
	for _, pid := range pids[1:] {
		f.Supervisors = append(f.Supervisors, pss(w.t, pid, "Pss:"))
	}
}

// ours returns the host's pids of the agent and of the supervisors, the agent first.
func (w *world) ours() (pids []string) {
	w.t.Helper()
	w.node.eventually("the agent and its supervisors run", func() bool {
		pids = w.find()
		return len(pids) == 1+components
	})
	return pids
}

func (w *world) find() (pids []string) {
	w.t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	must(w.t, err)
	inside, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", w.node.Leader()))
	must(w.t, err)
	for _, dir := range dirs {
		raw, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if ns, nerr := os.Readlink(filepath.Join(dir, "ns/pid")); err != nil || nerr != nil || ns != inside {
			continue
		}
		switch args := strings.Split(string(raw), "\x00"); {
		case len(args) > 2 && args[1] == "run" && filepath.Base(args[0]) == "slipway-agent":
			pids = slices.Insert(pids, 0, filepath.Base(dir))
		case filepath.Base(args[0]) == filepath.Base(plan.ExecBinary):
			pids = append(pids, filepath.Base(dir))
		}
	}
	return pids
}

// processor returns the processor time that the threads of a process used, in seconds
// (schedstats: /proc/PID/task/TID/schedstat begins with it in nanoseconds).
func processor(t *testing.T, pid string) (seconds float64) {
	t.Helper()
	tasks, err := filepath.Glob("/proc/" + pid + "/task/*/schedstat")
	must(t, err)
	for _, task := range tasks {
		raw, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		ns, err := strconv.ParseInt(strings.Fields(string(raw))[0], 10, 64)
		must(t, err)
		seconds += float64(ns) / 1e9
	}
	return seconds
}

// pss returns a row of a process's proportional set size in KiB.
func pss(t *testing.T, pid, row string) int {
	t.Helper()
	raw, err := os.ReadFile("/proc/" + pid + "/smaps_rollup")
	must(t, err)
	for line := range strings.Lines(string(raw)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == row {
			n, err := strconv.Atoi(fields[1])
			must(t, err)
			return n
		}
	}
	t.Fatalf("process %s has no Pss", pid)
	return 0
}

// changes times changes of one unit, evenly spread over a few seconds' phase.
func (f *Footprint) changes(w *world, master func(*plan.Plan), times int) {
	w.t.Helper()
	for i := range times {
		time.Sleep(time.Duration(i%10) * 37 * time.Millisecond) // spread: a poller's phase must not matter
		p, lock, signature := w.next(master, func(p *plan.Plan) {
			p.Units[len(p.Units)-1].Exec.Env = []string{fmt.Sprintf("CHANGE=%d", w.number)}
		})
		begun := monotonic()
		w.plane.Publish(w.ctx, p, lock, signature)
		w.plane.Await(w.ctx, p.Deployment, protocol.Joined)
		f.Reaction = append(f.Reaction, monotonic()-begun)
		w.plane.Await(w.ctx, p.Deployment, protocol.Healthy)
		f.Done = append(f.Done, monotonic()-begun)
		effect := w.started(p.Units[len(p.Units)-1].Name) - begun
		if effect <= 0 {
			w.t.Fatalf("change %d restarted nothing", i)
		}
		f.Effect = append(f.Effect, effect)
	}
}

func sum(all []int) (total int) {
	for _, n := range all {
		total += n
	}
	return total
}
