package integration

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/testimage"
	"slipway.build/slipway/agent/testplane"
	"slipway.build/slipway/test/testnode"
)

const (
	nodeID  = "5f0c54a4-4d0c-4a3e-9d39-0d8f2a51f2aa"
	cluster = "0b9f1dbe-5f7e-4b3a-8a34-3cf6f6f3a001"
)

// world is a node, its control plane, its registry and the plans between them.
type world struct {
	t        *testing.T
	ctx      context.Context
	node     *node
	plane    *testplane.Plane
	registry *testimage.Registry
	lockKey  *ecdsa.PrivateKey
	images   map[string]*testimage.Image
	tampered atomic.Value // a digest whose bytes the registry spoils
	alpha    string       // the components' addresses
	beta     string
	number   uint64
}

// part is one part of a test that follows a node; the next begins where it ended.
type part struct {
	name string
	run  func(*testing.T, *world)
}

// follow runs parts one after the other, until one fails.
func (w *world) follow(parts []part) {
	w.t.Helper()
	for _, p := range parts {
		w.part(p.name, p.run)
	}
}

// part runs one part, and ends the test when it fails: the rest needs it.
func (w *world) part(name string, run func(*testing.T, *world)) {
	w.t.Helper()
	whole := w.t
	passed := whole.Run(name, func(t *testing.T) {
		w.use(t)
		run(t, w)
	})
	w.use(whole)
	if !passed {
		whole.Fatalf("the rest needs this part; journal of the node:\n%s", w.node.journal())
	}
}

// use has failures reported to a part of the test.
func (w *world) use(t *testing.T) {
	w.t, w.node.t = t, t
	w.plane.Use(t)
}

// newWorld prepares a world; its node is not booted yet. Options alter what the node is made of.
func newWorld(t *testing.T, options ...func(*testnode.Config)) *world {
	t.Helper()
	config := testnode.Config{Tree: testnode.BaseTree(t), Name: testnode.Name(t, "slipt-agent-node"), Programs: testnode.BuildPrograms(t)}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, alpha: testnode.FreeAddress(t), beta: testnode.FreeAddress(t), images: map[string]*testimage.Image{}}
	w.tampered.Store("")
	server, err := os.ReadFile(testnode.Build(t, "./testdata/server"))
	must(t, err)
	other := append(append([]byte{}, server...), "another version"...)
	second, err := os.ReadFile(config.Programs.Agent)
	must(t, err)
	hang, err := os.ReadFile(testnode.Build(t, "./testdata/hang"))
	must(t, err)
	for name, files := range map[string][]testimage.File{
		"agent-two":   {{Path: "usr/bin/agent", Content: append(second, "another version"...)}},
		"agent-crash": {{Path: "usr/bin/agent", Content: server}},
		"agent-hang":  {{Path: "usr/bin/agent", Content: hang}},
		"alpha":       {{Path: "usr/bin/alpha", Content: server}},
		"beta":        {{Path: "usr/bin/beta", Content: server}, {Path: "usr/bin/tool", Content: []byte("tool")}},
		"beta-two":    {{Path: "usr/bin/beta", Content: other}},
		"pause":       {{Path: "pause", Content: []byte("pause")}},
	} {
		w.images[name] = testimage.New(t, name, testimage.Zstd, files)
	}
	w.registry = testimage.NewRegistry(t, w.spoil, w.all()...)
	w.plane = testplane.New(t)
	w.plane.Life = certificateLife(t)
	w.plane.Secrets["shared@1"] = "a secret value of the test"
	lockKey, lockPEM := testimage.Key(t)
	w.lockKey = lockKey
	config.Layer = map[string]string{plan.TrustDir + "/lock.pub": string(lockPEM), plan.AgentConfig: w.plane.AgentConfig(nodeID)}
	for _, option := range options {
		option(&config)
	}
	w.node = &node{testnode.New(t, config), t, ctx}
	must(t, w.node.AddUser(user, userID))
	w.node.write(plan.ImportTool, "#!/bin/sh\nmkdir -p /var/lib/imported && echo \"$*\" >> /var/lib/imported/calls\n", 0o755)
	return w
}

// all returns the images in the order of their names.
func (w *world) all() []*testimage.Image {
	var images []*testimage.Image
	for _, name := range slices.Sorted(maps.Keys(w.images)) {
		images = append(images, w.images[name])
	}
	return images
}

// spoil flips a bit in what the registry serves under the tampered digest.
func (w *world) spoil(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if digest := w.tampered.Load().(string); digest == "" || !strings.Contains(r.URL.Path, digest) {
			next.ServeHTTP(rw, r)
			return
		}
		next.ServeHTTP(&flip{ResponseWriter: rw}, r)
	})
}

type flip struct {
	http.ResponseWriter
	done bool
}

func (f *flip) Write(p []byte) (int, error) {
	if !f.done && len(p) > 100 {
		p = append([]byte{}, p...)
		p[100] ^= 1
		f.done = true
	}
	return f.ResponseWriter.Write(p)
}

// watchdog is how long a component of these tests may not be heard of: long beside the pauses of a
// machine with other work.
const watchdog = "10s"

// service is the unit of a component, which its watchdog ends when it hangs.
func service(after string, lines ...string) string {
	return testnode.Service(after, append([]string{"RestartSec=100ms\nTimeoutStopSec=5s\nWatchdogSec=" + watchdog + "\n"}, lines...)...)
}

// confined is what alpha's service has beyond its root.
const confined = `User=` + user + `
StateDirectory=alpha
ProtectSystem=strict
CapabilityBoundingSet=
SystemCallFilter=@system-service
MemoryMax=64M
`

// next returns the plan of the next generation, which changes may alter, with a signed lock.
func (w *world) next(changes ...func(*plan.Plan)) (p *plan.Plan, lock, signature []byte) {
	w.t.Helper()
	w.number++
	image := func(name string) plan.Image {
		img := w.images[name]
		return plan.Image{Name: name, Repository: img.Locked.Repository, Digest: img.Platform().Manifest}
	}
	pause := image("pause")
	pause.Import = "registry.example/pause@" + pause.Digest
	p = &plan.Plan{
		Schema:     plan.Schema,
		Node:       plan.Node{ID: nodeID, Name: "node-0", Cluster: cluster, Role: "master", Address: "127.0.0.1"},
		Generation: w.number, Deployment: fmt.Sprintf("deployment-%d", w.number),
		Registries:   []string{w.registry.URL},
		Images:       []plan.Image{image("alpha"), image("beta"), pause},
		Certificates: []plan.Certificate{{Name: "alpha", Purpose: "serving", Owner: user}},
		Secrets:      []plan.Secret{{Name: "shared", Version: "1", Owner: user}},
		Files:        []plan.File{{Path: "alpha/config", Mode: "0444", Content: "config\n"}},
		Units: []plan.Unit{
			{Name: beta, Text: service(alpha, testnode.OnHost(beta)), Start: true, Exec: &plan.Exec{
				Image: "beta", Binary: "usr/bin/beta", Args: []string{"--listen", w.beta, "--unix", "/run/containerd/containerd.sock"},
				Tools: []string{"beta"}, Ready: &plan.Probe{URL: "unix:///run/containerd/containerd.sock"},
			}},
			{Name: alpha, Text: service("network.target", testnode.InRoot(alpha, "alpha", plan.PKI+"/alpha", plan.Current+"/files/alpha"), confined), Start: true, Exec: &plan.Exec{
				Image: "alpha", Binary: "usr/bin/alpha", Args: []string{"--listen", w.alpha, "--delay", "300ms", "--state", "/var/lib/alpha/member/here"},
				Mounts: []string{"var/lib/alpha", "var/lib/slipway/pki/alpha", "var/lib/slipway/current/files/alpha"},
				State:  &plan.State{Dir: "/var/lib/alpha", Sentinel: "member"},
				Ready:  &plan.Probe{URL: "http://" + w.alpha + "/healthz"},
				Live:   &plan.Probe{URL: "http://" + w.alpha + "/healthz", Interval: plan.Duration(200 * time.Millisecond), Timeout: plan.Duration(3 * time.Second), Failures: 2},
			}},
		},
		Deadline: plan.Duration(3 * time.Minute),
		// Most tests look at what a start does about a changed file, not at what the guard does.
		Drift: &plan.Drift{Binaries: plan.DriftIgnore},
	}
	raw, signature, digest := testimage.Lock(w.t, w.lockKey, w.all()...)
	p.Lock = digest
	for _, change := range changes {
		change(p)
	}
	return p, raw, signature
}

// apply publishes the next plan and waits for its phase.
func (w *world) apply(phase protocol.Phase, changes ...func(*plan.Plan)) protocol.Signal {
	w.t.Helper()
	p, lock, signature := w.next(changes...)
	w.plane.Publish(w.ctx, p, lock, signature)
	return w.plane.Await(w.ctx, p.Deployment, phase)
}

func unitOf(p *plan.Plan, name string) *plan.Unit {
	for i := range p.Units {
		if p.Units[i].Name == name {
			return &p.Units[i]
		}
	}
	return nil
}
