package faults

import (
	"net"
	"os"
	"regexp"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/test/faults/tracer"
)

// control holds the agent of a node: each time it starts it waits at the gate, and its calls are
// decided by what is armed.
type control struct {
	listener *net.UnixListener
	errors   chan error

	mu       sync.Mutex
	launches int
	agent    int           // the process that runs now, as this one sees it
	gate     chan struct{} // nil is open
	kept     chan struct{} // that the agent waits at, whatever the gate is for later ones
	arrived  chan struct{} // closed at the next arrival at the gate
	armed    *arming
	observe  func(*tracer.Call, string)
}

// arming is a fault that waits for its step.
type arming struct {
	step  string
	nth   int // counts from 1
	fault func(*tracer.Call) tracer.Verdict
	name  func(*tracer.Call) string // of a step
	seen  int
	fired chan struct{}
	done  bool
	// after, when not nil, decides about the calls once the fault has fired.
	after func(call *tracer.Call, step string) tracer.Verdict
}

func newControl(socket string) (*control, error) {
	if err := os.RemoveAll(socket); err != nil {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return nil, err
	}
	c := &control{listener: listener, errors: make(chan error, 16), arrived: make(chan struct{})}
	go c.serve()
	return c, nil
}

func (c *control) close() { _ = c.listener.Close() }

func (c *control) serve() {
	for {
		program, err := tracer.Accept(c.listener)
		if err != nil {
			return // closed, or a launcher that was killed on its way
		}
		c.mu.Lock()
		c.launches++
		close(c.arrived)
		c.arrived = make(chan struct{})
		gate := c.gate
		c.mu.Unlock()
		go func() {
			if gate != nil {
				<-gate
			}
			agent := 0
			err := program.Run(func(call *tracer.Call) tracer.Verdict {
				if agent == 0 {
					agent = call.PID // the first call is its own start
					c.mu.Lock()
					c.agent = agent
					c.mu.Unlock()
					return tracer.Verdict{}
				}
				return c.decide(call, agent)
			})
			if err != nil {
				select {
				case c.errors <- err:
				default:
				}
			}
		}()
	}
}

func (c *control) decide(call *tracer.Call, agent int) tracer.Verdict {
	step := stepOf(call, agent)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.observe != nil {
		c.observe(call, step)
	}
	a := c.armed
	if a == nil || step == "" {
		return tracer.Verdict{}
	}
	if a.done {
		if a.after != nil {
			return a.after(call, a.name(call))
		}
		return tracer.Verdict{}
	}
	if a.step != "" && a.name(call) != a.step {
		return tracer.Verdict{}
	}
	if a.seen++; a.seen < a.nth {
		return tracer.Verdict{}
	}
	a.done = true
	close(a.fired)
	verdict := a.fault(call)
	if verdict.Kill {
		verdict.Victim = agent
	}
	return verdict
}

// arm has a fault wait for its step.
func (c *control) arm(a *arming) {
	a.fired = make(chan struct{})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = a
}

func (c *control) disarm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = nil
}

// shut has the agent's next start wait; the channel is closed when it has arrived.
func (c *control) shut() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gate == nil {
		c.gate = make(chan struct{})
	}
	return c.arrived
}

// arrivals returns the channel that is closed at the agent's next start.
func (c *control) arrivals() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.arrived
}

func (c *control) open() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gate != nil {
		close(c.gate)
		c.gate = nil
	}
}

// keep has the agent that waits at the gate stay there until release, and opens the gate to others.
func (c *control) keep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept, c.gate = c.gate, nil
}

// release lets the agent go that keep has kept, if there is one.
func (c *control) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept != nil {
		close(c.kept)
		c.kept = nil
	}
}

func (c *control) watch(observe func(*tracer.Call, string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.observe = observe
}

// stepOf names the step that a call is, "" when it is none: changes and syncs of the agent's own
// files, what it asks of systemd, and programs that it starts.
func stepOf(call *tracer.Call, agent int) string {
	switch {
	case call.Name == "exec":
		return call.String()
	case call.PID != agent:
		return ""
	case call.Tree(plan.Root):
		return call.String()
	case strings.HasPrefix(call.Path, "socket:"):
		return asked(string(call.Data))
	}
	return ""
}

var members = regexp.MustCompile(`\b(Reload|StartUnit|StopUnit|RestartUnit)\b`)

var unitName = regexp.MustCompile(`slipway-[a-z]+\.service`)

// asked is what a D-Bus message asks of systemd.
func asked(message string) string {
	if !strings.Contains(message, "org.freedesktop.systemd1.Manager") {
		return ""
	}
	member := members.FindString(message)
	if member == "" {
		return ""
	}
	return strings.TrimSpace("systemd " + member + " " + unitName.FindString(message))
}

func kill(*tracer.Call) tracer.Verdict { return tracer.Verdict{Kill: true} }

func answer(errno unix.Errno) func(*tracer.Call) tracer.Verdict {
	return func(*tracer.Call) tracer.Verdict { return tracer.Verdict{Errno: errno} }
}
