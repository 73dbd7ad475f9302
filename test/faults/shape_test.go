package faults

import (
	"fmt"
	"strings"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/testimage"
	"slipway.build/slipway/test/testnode"
)

const (
	nodeID  = "5f0c54a4-4d0c-4a3e-9d39-0d8f2a51f2ab"
	cluster = "0b9f1dbe-5f7e-4b3a-8a34-3cf6f6f3a002"

	alpha  = "slipway-alpha.service"  // in its image's root; its image differs from plan to plan
	beta   = "slipway-beta.service"   // on the host's root; its arguments and its file differ
	steady = "slipway-steady.service" // the same in all plans
	odd    = "slipway-odd.service"    // in every other plan
	even   = "slipway-even.service"   // in the others
)

// versions is how many versions of the images there are: one more than generations are kept, so
// that every plan has something to fetch.
const versions = 3

// shape is one of the plans of a world and what belongs to it.
type shape struct {
	number     uint64
	version    int
	odd        bool
	plan       *plan.Plan
	lock       []byte
	signature  []byte
	images     map[string]*testimage.Image // by the plan's names
	deployment string
}

// only is the unit that the other half of the plans does not have.
func (s *shape) only() (has, lacks string) {
	if s.odd {
		return odd, even
	}
	return even, odd
}

// next makes the plan that follows the current one; changes may alter it.
func (w *world) next(changes ...func(*plan.Plan)) *shape {
	w.counter++
	s := &shape{number: w.counter, deployment: fmt.Sprintf("deployment-%d", w.counter), images: map[string]*testimage.Image{}}
	if w.current != nil {
		s.version, s.odd = (w.current.version+1)%versions, !w.current.odd
	}
	for name, of := range w.images {
		s.images[name] = of[s.version%len(of)]
	}
	image := func(name string) plan.Image {
		img := s.images[name]
		return plan.Image{Name: name, Repository: img.Locked.Repository, Digest: img.Platform().Manifest}
	}
	pause := image("pause")
	pause.Import = "registry.example/pause@" + pause.Digest
	has, _ := s.only()
	single := strings.TrimSuffix(strings.TrimPrefix(has, "slipway-"), ".service")
	component := func(image string, args ...string) *plan.Exec {
		return &plan.Exec{Image: image, Binary: "usr/bin/" + image, Args: args}
	}
	unixProbe := func(path string) *plan.Probe { return &plan.Probe{URL: "unix://" + path} }
	s.plan = &plan.Plan{
		Schema:     plan.Schema,
		Node:       plan.Node{ID: nodeID, Name: "node-0", Cluster: cluster, Role: "master", Address: "127.0.0.1"},
		Generation: s.number, Deployment: s.deployment,
		Registries:   []string{w.registry.URL},
		Images:       []plan.Image{image("alpha"), image("beta"), pause},
		Certificates: []plan.Certificate{{Name: "alpha", Purpose: "serving", Owner: "root"}, {Name: single, Purpose: "serving", Owner: "root"}},
		Secrets:      []plan.Secret{{Name: "shared", Version: fmt.Sprint(s.version), Owner: "root"}},
		Files: []plan.File{
			{Path: "alpha/config", Mode: "0444", Content: "the same in all plans\n"},
			{Path: "beta/config", Mode: "0444", Content: fmt.Sprintf("of generation %d\n", s.number)},
			{Path: single + "/config", Mode: "0444", Content: single},
		},
		Units: []plan.Unit{
			{Name: alpha, Text: testnode.Service("network.target", testnode.InRoot(alpha, "alpha", plan.PKI+"/alpha", plan.Current+"/files/alpha")), Start: true, Exec: component("alpha", "--listen", w.address)},
			{Name: beta, Text: testnode.Service(alpha, testnode.OnHost(beta)), Start: true,
				Exec: component("beta", "--listen", "/run/containerd/containerd.sock", "--label", fmt.Sprint(s.number), "--label", plan.Current+"/files/beta/config")},
			{Name: steady, Text: testnode.Service("network.target", testnode.OnHost(steady)), Start: true, Exec: component("beta", "--listen", "/run/steady.sock")},
			{Name: has, Text: testnode.Service("network.target", testnode.OnHost(has)), Start: true, Exec: component("beta", "--listen", "/run/single.sock", "--label", single)},
		},
		Deadline: plan.Duration(w.deadline),
	}
	for i := range s.plan.Units {
		unit := &s.plan.Units[i]
		unit.Exec.Ready = unixProbe("/run/steady.sock")
		switch unit.Name {
		case alpha:
			unit.Exec.Ready = &plan.Probe{URL: "tcp://" + w.address}
			unit.Exec.Mounts = []string{"var/lib/slipway/pki/alpha", "var/lib/slipway/current/files/alpha"}
		case beta:
			unit.Exec.Ready = unixProbe("/run/containerd/containerd.sock")
		case has:
			unit.Exec.Ready = unixProbe("/run/single.sock")
		}
	}
	var locked []*testimage.Image
	for _, img := range s.images {
		locked = append(locked, img)
	}
	s.lock, s.signature, s.plan.Lock = testimage.Lock(w.t, w.lockKey, locked...)
	for _, change := range changes {
		change(s.plan)
	}
	return s
}

func unitOf(p *plan.Plan, name string) *plan.Unit {
	for i := range p.Units {
		if p.Units[i].Name == name {
			return &p.Units[i]
		}
	}
	return nil
}
