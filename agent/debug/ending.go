package debug

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/run"
	"slipway.build/slipway/agent/unitlog"
)

// memory is how long ago an end may be to be told of a unit that runs again.
const memory = time.Hour

// exit finds out how the last process ended, and which lines of the log belong to that run.
func (s *subject) exit() {
	last := -1
	for i, line := range s.lines {
		if line.Exit != nil {
			last = i
		}
	}
	const kinds = "exited killed dumped"
	if st := s.status; st.ExitKind >= 1 && st.ExitKind <= 3 {
		exit := &Exit{Time: st.Ended, Kind: strings.Fields(kinds)[st.ExitKind-1], Status: fmt.Sprint(st.ExitCode), Result: st.Result}
		if st.ExitKind != 1 {
			exit.Status = signalName(int(st.ExitCode))
		}
		s.a.Exit = exit
	} else if last >= 0 {
		line := s.lines[last]
		exit := &Exit{Time: line.Time, Kind: line.Exit.Kind, Status: line.Exit.Status}
		if number, err := strconv.Atoi(exit.Status); err == nil && exit.Kind != "exited" {
			exit.Status = signalName(number)
		}
		s.a.Exit = exit
	}
	s.window = lastRun(s.lines, len(s.lines))
	if s.a.Exit == nil {
		return
	}
	if last >= 0 { // what was said after the end is about the next run, but for systemd's verdict
		end := last + 1
		for end < len(s.lines) && s.lines[end].By == "systemd" && s.lines[end].Result != "" {
			s.a.Exit.Result = s.lines[end].Result
			end++
		}
		s.window = lastRun(s.lines, end)
	}
	s.a.Exit.Meaning = meaning(s.a.Exit)
}

// lastRun is the one run of a unit whose lines end before end.
func lastRun(lines []unitlog.Line, end int) []unitlog.Line {
	for i := end - 1; i >= 0; i-- {
		if lines[i].By == "systemd" && strings.HasPrefix(lines[i].Message, "Starting ") {
			return lines[i:end]
		}
	}
	return lines[:end]
}

func signalName(number int) string {
	return strings.TrimPrefix(unix.SignalName(unix.Signal(number)), "SIG")
}

// meaning says an exit in words. The numbers from 200 on are systemd's own (systemd.exec(5)).
func meaning(e *Exit) string {
	known := map[string]string{
		"0": "it ended by itself, without an error", strconv.Itoa(run.ExitRefused): "slipway-exec refused to start it",
		"200": "systemd could not change into its directory", "203": "systemd could not execute slipway-exec",
		"217": "its user does not exist", "219": "systemd could not set its cgroup up",
		"226": "systemd could not set its name space up: something to be mounted is missing",
		"238": "its state directory could not be made",
	}
	switch {
	case e.Result == "watchdog":
		return "its watchdog ended it: its own check did not pass in time"
	case e.Result == "oom-kill":
		return "the kernel killed it for memory"
	case e.Result == "timeout":
		return "it did not start or stop in time"
	case e.Kind == "exited" && known[e.Status] != "":
		return known[e.Status]
	case e.Kind == "exited":
		return "it ended with an error of its own"
	default:
		return "signal " + e.Status + " ended it"
	}
}

// ending says why the last process ended, if that still matters.
func (s *subject) ending() {
	exit := s.a.Exit
	if exit == nil {
		return
	}
	if s.status.Active == "inactive" && s.status.Result == "success" {
		return // it was told to end, and did
	}
	if s.status.MainPID != 0 && (s.status.Restarts == 0 || s.n.Now().Sub(exit.Time) > memory) {
		return // before somebody started it, or long ago
	}
	again := ""
	if s.status.Active == "active" {
		again = "; it runs again"
	}
	text := joined(s.window)
	when := s.ago(exit.Time)
	switch {
	case len(s.a.Causes) > 0 && (exit.Status == strconv.Itoa(run.ExitRefused) || exit.Status == "226"):
		// said already: what is missing or differs
	case exit.Result == "oom-kill" || strings.Contains(text, "Out of memory: the kernel killed it"):
		exit.Result, exit.Meaning = "oom-kill", "the kernel killed it for memory"
		s.a.cause("out-of-memory", fmt.Sprintf("it was killed for memory %s: %s%s", when, quote(s.window, "Out of memory"), again),
			"see what it uses: systemctl show -p MemoryCurrent,MemoryMax "+s.unit.Name, "raise its limit in the cluster's template, or give the node more memory")
	case exit.Result == "watchdog" || strings.Contains(text, "its own check failed"):
		exit.Result, exit.Meaning = "watchdog", "its watchdog ended it: its own check did not pass in time"
		s.a.cause("watchdog", fmt.Sprintf("it hung and its watchdog ended it %s: %s%s", when, quote(s.window, "its own check failed", "Watchdog"), again),
			"its log before that tells what it was at: slipway-agent logs "+s.unit.Name, "if the node is overloaded, its checks come late: slipway-agent status")
	case inUse(text) != "" || strings.Contains(text, "address already in use"):
		s.portTaken(inUse(text), when)
	case strings.Contains(text, "no space left on device") && !s.has("disk-full"):
		s.a.cause("disk-full", "it ended "+when+" because there was no space left: "+quote(s.window, "no space left"), "find what fills the disk: df -h; du -xh --max-depth=2 /var | sort -h | tail")
	case s.status.Active == "active" && exit.Status == "TERM", exit.Status == "0" && s.status.Active != "activating":
		// told to
	case s.status.Active != "inactive" || exit.Status != "0":
		s.a.cause("exits", fmt.Sprintf("its process ended %s: %s %s (%s)%s; its last word: %s", when, exit.Kind, exit.Status, exit.Meaning, again, s.lastWord()),
			"read its log: slipway-agent logs "+s.unit.Name, "if it does not know an option, compare the arguments with its version: slipway-agent diff")
	}
}

func joined(lines []unitlog.Line) string {
	var out strings.Builder
	for _, line := range lines {
		out.WriteString(line.Message + "\n")
	}
	return out.String()
}

// quote returns the last line that holds one of the parts, in the order of the parts.
func quote(lines []unitlog.Line, parts ...string) string {
	for _, part := range parts {
		for i := len(lines) - 1; i >= 0; i-- {
			if strings.Contains(lines[i].Message, part) {
				return strings.TrimSpace(lines[i].Message)
			}
		}
	}
	return "see the log"
}

// inUse returns the port of a "bind: address already in use", "" when there is none.
func inUse(text string) string {
	found := regexp.MustCompile(`:([0-9]{1,5}): bind: address already in use`).FindStringSubmatch(text)
	if found == nil {
		return ""
	}
	return found[1]
}

// portTaken says who has the port that the unit needs.
func (s *subject) portTaken(port, when string) {
	what := "it ended " + when + " because its address is in use: " + quote(s.window, "address already in use")
	holder := ""
	if number, err := strconv.Atoi(port); err == nil {
		holder = listener(number)
	}
	if holder != "" {
		what += "; port " + port + " is held by " + holder
	} else if port != "" {
		what += "; nobody holds port " + port + " now"
	}
	s.a.cause("port-taken", what, "stop what holds it: ss -ltnp 'sport = :"+port+"'", "the unit starts by itself then; at once with: systemctl restart "+s.unit.Name)
}

// telling reports whether a line says that something is wrong.
func telling(line unitlog.Line) bool {
	const warning = 4
	if line.Priority <= warning {
		return true
	}
	text := strings.ToLower(line.Message)
	return containsAny(text, "error", "fail", "fatal", "panic", "denied", "refused", "in use", "no such", "cannot", "invalid", "expired", "unknown", "not defined", "timed out", "no space")
}

// shownLines is how many lines of a log an answer has.
const shownLines = 8

// matter chooses the lines that matter: the last ones that say that something is wrong, or, when
// there are none, the last ones.
func matter(lines []unitlog.Line) []unitlog.Line {
	var out []unitlog.Line
	for _, line := range lines {
		if telling(line) {
			out = append(out, line)
		}
	}
	if len(out) == 0 {
		out = append(out, lines...)
	}
	return out[max(0, len(out)-shownLines):]
}

// identities looks at the certificates and secrets that the unit uses.
func (s *subject) identities() {
	text := s.unit.Text + "\n" + specText(s.unit.Exec)
	for _, certificate := range s.f.gen.Plan.Certificates {
		if !names(text, plan.PKI+"/"+certificate.Name) {
			continue
		}
		for _, finding := range s.n.certificate(certificate) {
			if finding.OK || s.has("certificate-missing") {
				continue
			}
			code := "certificate-wrong"
			switch {
			case strings.HasPrefix(finding.Found, "expired"):
				code = "certificate-expired"
			case strings.Contains(finding.Found, "no such file"):
				code = "certificate-missing"
			}
			s.a.cause(code, fmt.Sprintf("%s: expected %s, found: %s", finding.What, finding.Expected, finding.Found),
				"have the agent get it anew (it asks the control plane): systemctl restart "+plan.AgentUnit, "is the control plane reachable? slipway-agent why agent")
		}
	}
	for _, secret := range s.f.gen.Plan.Secrets {
		path := plan.Secrets + "/" + secret.Name + "@" + secret.Version
		if names(text, path) {
			if finding := s.n.secret(secret); !finding.OK {
				s.a.cause("secret-missing", fmt.Sprintf("%s: expected %s, found: %s", finding.What, finding.Expected, finding.Found),
					"have the agent get it anew: systemctl restart "+plan.AgentUnit)
			}
		}
	}
}
