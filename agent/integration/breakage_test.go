package integration

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/debug"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/testimage"
	"slipway.build/slipway/test/testnode"
)

// breakage is one way in which a node breaks, and what `slipway-agent why` must say of it.
type breakage struct {
	name    string
	subject string // "" for the node
	code    string // of the first cause
	says    string // in the cause's words
	breaks  func(*world)
	mends   func(*world)
}

// TestEveryDocumentedBreakageIsNamed breaks a node in each way that docs/debugging.md describes,
// asks it why, and mends it. With -update it writes the real outputs into the document.
func TestEveryDocumentedBreakageIsNamed(t *testing.T) {
	w := newWorld(t, func(c *testnode.Config) { c.Memory = 192 << 20 }) // a disk that can be full
	w.node.boot()
	w.apply(protocol.Healthy, watchOnly)
	w.well()
	w.part("what a person asks a healthy node", func(*testing.T, *world) { asked(w) })
	outputs := map[string]string{}
	for _, b := range breakages() {
		w.part(b.name, func(*testing.T, *world) {
			b.breaks(w)
			outputs[b.name] = w.named(b)
			if b.mends != nil { // the next one needs what this one broke
				b.mends(w)
				w.well()
			}
		})
	}
	document(t, outputs)
}

// watchOnly keeps the agent from mending what the test breaks.
func watchOnly(p *plan.Plan) {
	p.Drift = &plan.Drift{Files: plan.DriftIgnore, Units: plan.DriftIgnore, Exec: plan.DriftIgnore, Binaries: plan.DriftIgnore, Keys: plan.DriftIgnore}
}

// named waits until why names the breakage, and returns its output for people.
func (w *world) named(b breakage) string {
	w.t.Helper()
	const limit = 4 * time.Minute
	seen := ""
	for deadline := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		var answer debug.Answer
		raw, err := w.node.try("slipway-agent", "why", "-o", "json", b.subject)
		if err == nil && json.Unmarshal([]byte(raw), &answer) == nil && len(answer.Causes) > 0 &&
			answer.Causes[0].Code == b.code && strings.Contains(answer.Causes[0].What, b.says) {
			break
		}
		if now := fmt.Sprintf("%s %+v", answer.State, answer.Causes); now != seen {
			seen = now
			w.t.Logf("not yet: %s, %v", now, err)
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("why does not name %s within %s (%v):\n%s", b.code, limit, err, raw)
		}
	}
	out := w.node.do("slipway-agent", "why", b.subject)
	if !strings.Contains(out, "["+b.code+"]") || !strings.Contains(out, "-> ") {
		w.t.Errorf("why says for people:\n%s", out)
	}
	if strings.Contains(out, "hunter2") {
		w.t.Errorf("why shows a secret:\n%s", out)
	}
	w.t.Log("\n" + out)
	return out
}

// well waits until the node is whole again.
func (w *world) well() {
	w.t.Helper()
	w.node.eventually("both components are active", func() bool {
		states, err := w.node.try("systemctl", "is-active", alpha, beta)
		return err == nil && states == "active\nactive"
	})
}

func (w *world) call(path string) {
	if resp, err := http.Get("http://" + w.alpha + path); err == nil {
		_ = resp.Body.Close()
	}
}

func (w *world) restart(unit string) {
	_, _ = w.node.try("systemctl", "reset-failed", unit)
	w.node.do("systemctl", "restart", unit)
}

// binary is alpha's, in the store.
func (w *world) binary() string {
	return filepath.Join(w.node.State("images"), w.images["alpha"].Platform().Manifest[7:], "root/usr/bin/alpha")
}

func breakages() []breakage {
	recovers := func(*world) {}
	return []breakage{
		{"flipped byte", "alpha", "binary-differs", "usr/bin/alpha of image alpha is not what the signed lock names",
			func(w *world) {
				w.node.do("systemctl", "stop", alpha)
				flipByte(w.t, w.binary())
				_, _ = w.node.try("systemctl", "start", alpha)
			},
			func(w *world) { flipByte(w.t, w.binary()); w.restart(alpha) }},
		{"process exits", "alpha", "exits", "told to end", func(w *world) { w.call("/exit") }, recovers},
		{"out of memory", "alpha", "out-of-memory", "Out of memory: the kernel killed it at its unit's limit",
			func(w *world) { w.limitMemory(); w.call("/eat") }, func(w *world) { w.unlimitMemory() }},
		{"watchdog", "alpha", "watchdog", "its own check failed 2 times in a row", func(w *world) { w.call("/hang") }, recovers},
		{"port taken", "alpha", "port-taken", "of slipt-intruder.service",
			func(w *world) {
				w.node.do("systemctl", "stop", alpha)
				w.node.do("systemd-run", "--quiet", "--collect", "--unit=slipt-intruder", plan.Current+"/roots/alpha/usr/bin/alpha", "--listen", w.alpha)
				w.node.eventually("the intruder listens", func() bool {
					resp, err := http.Get("http://" + w.alpha + "/healthz")
					if err != nil {
						return false
					}
					return resp.Body.Close() == nil
				})
				w.node.do("systemctl", "start", "--no-block", alpha)
			},
			func(w *world) { w.node.do("systemctl", "stop", "slipt-intruder.service") }},
		{"certificate missing", "alpha", "certificate-missing", "pki/alpha/tls.key: no such file",
			func(w *world) {
				must(w.t, os.Rename(w.node.State("pki/alpha"), w.node.State("pki/gone")))
				_, _ = w.node.try("systemctl", "restart", alpha)
			},
			func(w *world) {
				must(w.t, os.Rename(w.node.State("pki/gone"), w.node.State("pki/alpha")))
				w.restart(alpha)
			}},
		{"certificate expired", "alpha", "certificate-expired", "expired on 2020-",
			func(w *world) {
				w.node.do("systemctl", "stop", plan.AgentUnit)
				w.expire("pki/alpha/tls.crt")
			},
			func(w *world) {
				defer w.node.do("systemctl", "start", plan.AgentUnit)
				must(w.t, os.Rename(w.node.State("pki/alpha/good"), w.node.State("pki/alpha/tls.crt")))
			}},
		{"state lost", "alpha", "state-lost", "/var/lib/alpha/member is missing",
			func(w *world) {
				w.node.do("systemctl", "stop", alpha)
				w.node.do("mv", "/var/lib/alpha/member", "/var/lib/lost")
				_, _ = w.node.try("systemctl", "start", alpha)
			},
			func(w *world) { w.node.do("mv", "/var/lib/lost", "/var/lib/alpha/member"); w.restart(alpha) }},
		{"masked", "alpha", "masked", "/etc/systemd/system/slipway-alpha.service -> /dev/null",
			func(w *world) { w.node.do("systemctl", "mask", alpha); w.node.do("systemctl", "stop", alpha) },
			func(w *world) { w.node.do("systemctl", "unmask", alpha); w.node.do("systemctl", "start", alpha) }},
		{"edited unit", "beta", "drop-ins", "slipway-beta.service.d/extra.conf",
			func(w *world) {
				w.node.write("/etc/systemd/system/slipway-beta.service.d/extra.conf", "[Service]\nNice=5\n", 0o644)
				w.node.do("systemctl", "daemon-reload")
			},
			func(w *world) { w.node.do("systemctl", "revert", beta); w.node.do("systemctl", "daemon-reload") }},
		{"stopped by hand", "beta", "stopped", "it was stopped by somebody", func(w *world) { w.node.do("systemctl", "stop", beta) },
			func(w *world) { w.node.do("systemctl", "start", beta) }},
		{"wrong lock key", "alpha", "lock-untrusted", "none of the 1 trusted keys",
			func(w *world) {
				_, other := testimage.Key(w.t)
				w.node.do("cp", plan.TrustDir+"/lock.pub", "/var/lib/lock.pub")
				w.node.write(plan.TrustDir+"/lock.pub", string(other), 0o644)
			},
			func(w *world) { w.node.do("cp", "/var/lib/lock.pub", plan.TrustDir+"/lock.pub") }},
		{"disk full", "", "disk-full", "the disk is full: /var/lib/slipway has",
			func(w *world) { w.fill() }, func(w *world) { must(w.t, os.Remove(w.node.State("filler"))) }},
		{"registry away", "", "registry-away", "waits for its images, and no registry answers",
			func(w *world) {
				p, lock, signature := w.next(watchOnly, func(p *plan.Plan) {
					img := w.images["beta-two"]
					p.Images = append(p.Images, plan.Image{Name: "beta-two", Repository: img.Locked.Repository, Digest: img.Platform().Manifest})
					unitOf(p, beta).Exec.Image = "beta-two"
					p.Registries = []string{"http://" + testnode.FreeAddress(w.t)}
				})
				w.plane.Publish(w.ctx, p, lock, signature)
			},
			func(w *world) {
				if out := w.node.do("slipway-agent", "rollback"); !strings.Contains(out, "is given up") {
					w.t.Errorf("rollback says %s", out)
				}
			}},
		{"readiness never comes", "alpha", "not-ready", "connection refused",
			func(w *world) {
				peer := testnode.FreeAddress(w.t)
				p, lock, signature := w.next(watchOnly, func(p *plan.Plan) {
					unitOf(p, alpha).Exec.Ready = &plan.Probe{URL: "http://" + peer + "/peer"}
				})
				w.plane.Publish(w.ctx, p, lock, signature)
				w.plane.Await(w.ctx, p.Deployment, protocol.Switched)
				out := w.node.do("slipway-agent", "diff")
				for _, says := range []string{"from generation 1 (confirmed)", "ready changes from", "/peer", "restart  slipway-alpha.service"} {
					if !strings.Contains(out, says) {
						w.t.Errorf("diff does not say %q:\n%s", says, out)
					}
				}
			},
			nil},
		{"waits for another unit", "beta", "waits-for-unit", "slipway-alpha.service, which is activating",
			func(w *world) {
				w.node.do("systemctl", "stop", beta)
				w.node.do("systemctl", "start", "--no-block", beta)
			},
			func(w *world) {
				if out := w.node.do("slipway-agent", "rollback"); !strings.Contains(out, "generation 1 runs again") {
					w.t.Errorf("rollback says %s", out)
				}
			}},
		{"bad flag rolled back", "beta", "rolled-back", "slipway-beta.service",
			func(w *world) {
				p, lock, signature := w.next(watchOnly, func(p *plan.Plan) {
					unitOf(p, beta).Exec.Args = []string{"--fail"}
					unitOf(p, beta).Text = strings.Replace(unitOf(p, beta).Text, "StartLimitIntervalSec=0", "StartLimitIntervalSec=60\nStartLimitBurst=3", 1)
				})
				w.plane.Publish(w.ctx, p, lock, signature)
				w.plane.Await(w.ctx, p.Deployment, protocol.RolledBack)
				out := w.node.do("slipway-agent", "diff")
				for _, says := range []string{"from generation 1 (confirmed)", fmt.Sprintf("to   generation %d (abandoned)", p.Generation), "argument + --fail"} {
					if !strings.Contains(out, says) {
						w.t.Errorf("diff does not say %q:\n%s", says, out)
					}
				}
			}, recovers},
		{"control plane away", "", "control-plane-away", "cannot be reached",
			func(w *world) { w.plane.Close() }, recovers},
	}
}

// expire puts an expired certificate in the place of one.
func (w *world) expire(name string) {
	w.t.Helper()
	key, _ := testimage.Key(w.t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(w.t, err)
	path := w.node.State(name)
	must(w.t, os.Rename(path, filepath.Join(filepath.Dir(path), "good")))
	must(w.t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o444))
	must(w.t, os.Chmod(path, 0o444))
	must(w.t, os.Chown(path, userID, userID))
}

// fill leaves no space on the disk of the node's state.
func (w *world) fill() {
	w.t.Helper()
	file, err := os.Create(w.node.State("filler"))
	must(w.t, err)
	defer func() { _ = file.Close() }()
	block := make([]byte, 1<<20)
	for err == nil {
		_, err = file.Write(block)
	}
	if !errors.Is(err, unix.ENOSPC) {
		w.t.Fatal(err)
	}
}

// room is what the node may take beyond what it has when its memory is limited.
const room = 96 << 20

// memoryFiles returns the files of the container's limit and usage, for both kinds of cgroups. Test
// containers have no cgroups of their own within, so the limit is the whole node's.
func (w *world) memoryFiles() (limit, usage string) {
	for _, dir := range w.node.Cgroups() {
		for _, names := range [][2]string{{"memory.limit_in_bytes", "memory.usage_in_bytes"}, {"memory.max", "memory.current"}} {
			if _, err := os.Stat(filepath.Join(dir, names[0])); err == nil {
				return filepath.Join(dir, names[0]), filepath.Join(dir, names[1])
			}
		}
	}
	return "", ""
}

func (w *world) limitMemory() {
	w.t.Helper()
	limit, usage := w.memoryFiles()
	raw, err := os.ReadFile(usage)
	must(w.t, err)
	now, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
	must(w.t, err)
	must(w.t, os.WriteFile(limit, []byte(strconv.FormatInt(now+room, 10)), 0o644))
}

func (w *world) unlimitMemory() {
	w.t.Helper()
	limit, _ := w.memoryFiles()
	unlimited := "max"
	if filepath.Base(limit) == "memory.limit_in_bytes" {
		unlimited = "-1"
	}
	must(w.t, os.WriteFile(limit, []byte(unlimited), 0o644))
}
