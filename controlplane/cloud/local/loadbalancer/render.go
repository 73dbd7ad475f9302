package loadbalancer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"slipway.build/slipway/controlplane/cloud/local/record"
)

// setup is all that a balancer's configuration follows from: live records only.
type setup struct {
	Balancer  balancerRecord
	Listeners []listenerRecord
	Pools     []poolRecord
	Monitors  []monitorRecord
	Members   []memberRecord
}

// loadSetup reads the records of a balancer. It is an error that errors.Is(err,
// record.ErrNotFound) when there is none.
func loadSetup(r record.Reader, id string) (setup, error) {
	var s setup
	var err error
	if s.Balancer, err = record.Get[balancerRecord](r, kindBalancer, id); err != nil {
		return s, err
	}
	if s.Listeners, err = live[listenerRecord](r, kindListener); err != nil {
		return s, err
	}
	s.Listeners = filter(s.Listeners, func(v listenerRecord) bool { return v.Balancer == id })
	if s.Pools, err = live[poolRecord](r, kindPool); err != nil {
		return s, err
	}
	s.Pools = filter(s.Pools, func(v poolRecord) bool { return v.Balancer == id })
	if s.Monitors, err = live[monitorRecord](r, kindMonitor); err != nil {
		return s, err
	}
	s.Monitors = filter(s.Monitors, func(v monitorRecord) bool { return v.Balancer == id })
	if s.Members, err = live[memberRecord](r, kindMember); err != nil {
		return s, err
	}
	s.Members = filter(s.Members, func(v memberRecord) bool { return v.Balancer == id })
	return s, nil
}

// configuration is what haproxy reads, less the state of its servers.
type configuration struct {
	Revision string            // stands in the text and is what a running haproxy reports as its description
	Text     string            // haproxy.cfg
	Files    map[string]string // further files beside it
}

// Places within the container.
const (
	confDir  = "/etc/haproxy"
	stateDir = "/var/lib/haproxy"
)

// fast is how often servers are checked that are down or about to change, if their monitor's
// delay is not even shorter: a cluster waits for its first API server. Not more often: while
// an API server starts, each check is a TLS handshake that it pays for.
const fast = 250 * time.Millisecond

// render returns haproxy's configuration.
func render(s setup) configuration {
	var b strings.Builder
	files := map[string]string{}
	w := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	w("defaults\n    mode tcp\n    log global")
	w("    timeout connect 1s\n    timeout client 1h\n    timeout server 1h")
	w("    option clitcpka\n    option srvtcpka\n    option redispatch 1\n    retries 3")
	w("    load-server-state-from-file global")
	for _, l := range s.Listeners {
		w("\nfrontend listener_%s", record.Short(l.ID))
		w("    bind %s:%d", s.Balancer.Address, l.Port)
		for _, p := range s.Pools {
			if p.Listener == l.ID {
				w("    default_backend %s", p.backend())
			}
		}
	}
	for _, p := range s.Pools {
		renderPool(w, files, s, p)
	}
	body := b.String()
	sum := sha256.Sum256([]byte(body))
	revision := hex.EncodeToString(sum[:8])
	head := "# Written by slipwayd from its records; changes are lost.\nglobal\n" +
		"    description " + revision + "\n" +
		"    stats socket " + stateDir + "/stats.sock mode 600 level admin expose-fd listeners\n" +
		"    server-state-file " + confDir + "/servers\n" +
		"    log stdout format raw local0 notice\n" +
		"    nbthread 1\n    maxconn 4096\n    mworker-max-reloads 50\n\n"
	return configuration{revision, head + body, files}
}

func renderPool(w func(string, ...any), files map[string]string, s setup, p poolRecord) {
	w("\nbackend %s\n    id %d\n    balance %s", p.backend(), number(p.ID), algorithms[p.Algorithm])
	check := ""
	if m, ok := s.monitor(p.ID); ok {
		check = " check"
		quick := min(fast, m.Delay)
		if m.Type == "HTTPS" {
			host := ""
			if m.Domain != "" {
				host = " hdr Host " + m.Domain
				check += " check-sni " + m.Domain + " verifyhost " + m.Domain
			} else {
				host = " hdr Host " + s.Balancer.Address.String()
			}
			sum := sha256.Sum256([]byte(p.CA))
			ca := "ca-" + hex.EncodeToString(sum[:8]) + ".pem"
			files[ca] = p.CA
			check += " check-ssl verify required ca-file " + confDir + "/" + ca
			w("    option httpchk\n    http-check send meth GET uri %s ver HTTP/1.1%s", m.Path, host)
			w("    http-check expect status 200")
		}
		w("    timeout check %dms", m.Timeout.Milliseconds())
		w("    default-server inter %dms fastinter %dms downinter %dms rise 1 fall %d on-marked-down shutdown-sessions",
			m.Delay.Milliseconds(), quick.Milliseconds(), quick.Milliseconds(), m.Retries)
	}
	for _, m := range s.Members {
		if m.Pool == p.ID {
			w("    server %s %s:%d id %d%s", m.server(), m.Address, m.Port, number(m.ID), check)
		}
	}
}

func (s setup) monitor(pool string) (monitorRecord, bool) {
	for _, m := range s.Monitors {
		if m.Pool == pool {
			return m, true
		}
	}
	return monitorRecord{}, false
}

func (p poolRecord) backend() string  { return "pool_" + record.Short(p.ID) }
func (m memberRecord) server() string { return "member_" + record.Short(m.ID) }

// number returns the number by which haproxy's state file knows an object: positive, 31 bits.
func number(id string) uint32 {
	n, _ := strconv.ParseUint(record.Short(id), 16, 32)
	return max(1, uint32(n)&0x7fffffff)
}

// serverStates returns the file from which a starting haproxy takes the state of its checked servers:
// up for those in the set, by server name, and down until their first passed check for the
// others. The format is version 1 of haproxy's "show servers state". The check status must be a
// known one even for a server never checked: 0 lets haproxy 2.6 crash at the first HTTP check.
func serverStates(s setup, up map[string]bool) string {
	var b strings.Builder
	b.WriteString("1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight " +
		"srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state " +
		"bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr " +
		"srv_agent_addr srv_agent_port\n")
	for _, p := range s.Pools {
		monitor, checked := s.monitor(p.ID)
		if !checked {
			continue
		}
		for _, m := range s.Members {
			if m.Pool != p.ID {
				continue
			}
			state, check := 0, "8 2 0" // connection failed
			if up[m.server()] {
				state, check = 2, fmt.Sprintf("15 3 %d", monitor.Retries) // passed; rise + fall - 1
			}
			fmt.Fprintf(&b, "%d %s %d %s %s %d 0 1 1 0 %s 6 0 1 1 - %d - 0 0 - - 0\n",
				number(p.ID), p.backend(), number(m.ID), m.server(), m.Address, state, check, m.Port)
		}
	}
	return b.String()
}
