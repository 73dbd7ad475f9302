package signal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/signal"
)

// The environment that makes this test's program the agent that is killed.
const (
	envDir   = "SLIPT_OUTBOX_DIR"
	envURL   = "SLIPT_OUTBOX_URL"
	envCount = "SLIPT_OUTBOX_COUNT"
	envStay  = "SLIPT_OUTBOX_STAY"
)

// deployments is over how many deployments the signals of the test are spread.
const deployments = 3

func TestMain(m *testing.M) {
	if dir := os.Getenv(envDir); dir != "" {
		if err := sendAll(dir, os.Getenv(envURL), os.Getenv(envCount)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		for os.Getenv(envStay) != "" {
			time.Sleep(time.Hour) // until it is killed
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// overHTTP sends signals as the node API's client does, but without TLS.
type overHTTP string

func (url overHTTP) Signals(ctx context.Context, signals []protocol.Signal) error {
	body, err := json.Marshal(signals)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, string(url), bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fault.Retriablef("%w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return fault.Retriablef("%s", resp.Status)
	}
	return nil
}

// sendAll goes on in its journal until that many steps are journalled, each with the signal that
// tells of it, and all signals are accepted.
func sendAll(dir, url, count string) error {
	last, err := strconv.ParseUint(count, 10, 64)
	if err != nil {
		return err
	}
	j, err := journal.Open(dir)
	if err != nil {
		return err
	}
	defer j.Close()
	outbox := signal.New(j, "node", nil, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- outbox.Run(ctx, overHTTP(url)) }()
	defer func() { stop(); <-ended }()
	entries, err := j.Entries()
	if err != nil {
		return err
	}
	fmt.Println("begun")
	for n := uint64(len(entries)) + 1; n <= last; n++ {
		told := outbox.Prepare(protocol.Signal{Deployment: fmt.Sprint("d-", n%deployments), Phase: protocol.Healthy, Reason: fmt.Sprint(n)})
		if err := j.Put(journal.Entry{Generation: n}, told); err != nil {
			return err
		}
		outbox.Queued()
	}
	for {
		queued, err := j.Queue(1)
		if err != nil || len(queued) == 0 {
			return err
		}
		time.Sleep(time.Millisecond) // this is a process of its own; the test has the deadline
	}
}

// hostileReceiver takes signals as the control plane does: one that it has is not taken twice. It fails
// in every way that a network has, and has the sender killed around each of its steps.
type hostileReceiver struct {
	mu     sync.Mutex
	random *rand.Rand
	next   []string // what happens to the next calls
	seen   map[string]bool
	order  map[string][]int // the reasons by deployment, in the order of arrival
	calls  int
	faults map[string]int
	kill   chan struct{}
}

func (r *hostileReceiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	raw, err := io.ReadAll(req.Body)
	var signals []protocol.Signal
	if err != nil || json.Unmarshal(raw, &signals) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.calls++
	if len(r.next) == 0 { // each thing once in a while, in any order
		r.next = []string{"none", "none", "none", "none", "5xx", "accepted and the connection lost", "slow", "killed before", "killed after"}
		r.random.Shuffle(len(r.next), func(i, j int) { r.next[i], r.next[j] = r.next[j], r.next[i] })
	}
	what := r.next[0]
	r.next = r.next[1:]
	r.faults[what]++
	r.mu.Unlock()
	switch what {
	case "5xx":
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case "slow":
		time.Sleep(30 * time.Millisecond)
	case "killed before":
		r.askForKill(req)
	}
	r.take(signals)
	switch what {
	case "killed after":
		r.askForKill(req)
	case "accepted and the connection lost":
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusNoContent)
}

// askForKill has the sender killed, unless that has happened already.
func (r *hostileReceiver) askForKill(req *http.Request) {
	select {
	case r.kill <- struct{}{}:
	case <-req.Context().Done():
	}
}

func (r *hostileReceiver) take(signals []protocol.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range signals {
		if !r.seen[s.ID] {
			r.seen[s.ID] = true
			n, _ := strconv.Atoi(s.Reason)
			r.order[s.Deployment] = append(r.order[s.Deployment], n)
		}
	}
}

// firstWord tells when a process has said anything.
type firstWord struct {
	once sync.Once
	said chan struct{}
}

func (w *firstWord) Write(p []byte) (int, error) {
	w.once.Do(func() { close(w.said) })
	return len(p), nil
}

// TestAKilledAgentLosesAndDoublesNoSignal kills a process that journals and sends, at random and
// around the receiver's steps, until it has told everything: the receiver has each signal once,
// and those of a deployment in their order. Each process but the last has some new signals to
// tell and stays until it is killed, however fast or slow the machine is.
func TestAKilledAgentLosesAndDoublesNoSignal(t *testing.T) {
	count, rounds := 600, 70
	if testing.Short() {
		count, rounds = 300, 30
	}
	seed := uint64(time.Now().UnixNano())
	r := &hostileReceiver{
		random: rand.New(rand.NewPCG(seed, 1)), seen: map[string]bool{}, order: map[string][]int{}, faults: map[string]int{}, kill: make(chan struct{}),
	}
	server := httptest.NewUnstartedServer(r)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.Start()
	defer server.Close()
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(seed, 2))
	kills := 0
	for done := false; !done; {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		upTo, stay := count, ""
		if kills < rounds {
			upTo, stay = count*(kills+1)/(rounds+1), "yes"
		}
		cmd.Env = append(os.Environ(), envDir+"="+dir, envURL+"="+server.URL, envCount+"="+fmt.Sprint(upTo), envStay+"="+stay)
		begun := firstWord{said: make(chan struct{})}
		cmd.Stdout = &begun
		var said strings.Builder
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		var later <-chan time.Time
		first := begun.said
	running:
		for {
			select {
			case <-first:
				if first = nil; kills < rounds {
					later = time.After(time.Duration(random.IntN(60)) * time.Millisecond)
				}
				continue
			case <-r.kill:
				if kills >= rounds {
					continue // enough: let it come to its end
				}
				kill(t, cmd, ended)
			case <-later:
				kill(t, cmd, ended)
			case err := <-ended:
				if err != nil {
					t.Fatalf("the agent ended by itself: %v\n%s (seed %d)", err, said.String(), seed)
				}
				done = true
				break running
			}
			kills++
			break running
		}
	}
	server.Close() // and calls of those who were killed are over
	t.Logf("seed %d: %d signals, %d kills, %d calls, %v", seed, count, kills, r.calls, r.faults)
	for _, what := range []string{"5xx", "accepted and the connection lost", "slow", "killed before", "killed after"} {
		if r.faults[what] == 0 && !testing.Short() {
			t.Errorf("it never happened: %s (seed %d)", what, seed)
		}
	}
	total := 0
	for deployment, order := range r.order {
		total += len(order)
		for i := 1; i < len(order); i++ {
			if order[i] != order[i-1]+deployments {
				t.Errorf("%s: %d came after %d", deployment, order[i], order[i-1])
			}
		}
	}
	if total != count || len(r.seen) != count {
		t.Errorf("%d signals came of %d that were journalled", total, count)
	}
}

// kill kills a process and waits for its end; calls of it that are under way may ask for it, too.
func kill(t *testing.T, cmd *exec.Cmd, ended <-chan error) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Log(err) // it has ended just now
	}
	<-ended
}
