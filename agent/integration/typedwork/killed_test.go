package typedwork

import (
	"encoding/json"
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/cluster"
	"slipway.build/slipway/agent/cluster/etcd"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
)

// testKilledEtcd kills the agent before and after each change that it asks etcd for, and in the
// middle of a snapshot's stream.
func testKilledEtcd(t *testing.T, w *trio) {
	a := w.agent
	g := newGate(t, a, w.ca, w.members[0].client, w.ca.clientTLS(filepath.Join(w.pki, "client")))
	learner := newMember(t, w.ca, w.bin, "m4")
	dir := t.TempDir()
	member := &plan.Member{PeerURLs: []string{learner.peer}}
	work := func(kind string) plan.Task {
		task := plan.Task{Name: "work", Kind: kind, API: g.api(), Member: member}
		if kind == plan.TaskEtcdSnapshot {
			task.Member, task.Snapshot = nil, &plan.Snapshot{Dir: dir, Keep: 9}
		}
		return task
	}
	const api = "/v3/cluster/member/"
	id := ""
	for _, step := range []struct {
		kind  string
		path  string
		after bool
		want  int // members afterwards
	}{
		{plan.TaskMemberAdd, api + "add", false, 4},
		{plan.TaskMemberRemove, api + "remove", true, 3},
		{plan.TaskMemberAdd, api + "add", true, 4},
		{plan.TaskMemberPromote, api + "promote", true, 4},
		{plan.TaskEtcdSnapshot, "/v3/maintenance/snapshot", false, 4},
		{plan.TaskEtcdSnapshot, "/v3/maintenance/snapshot", true, 4},
		{plan.TaskMemberRemove, api + "remove", true, 3},
	} {
		if step.kind == plan.TaskMemberPromote && learner.process == nil {
			learner.start(t, "existing", append(slices.Clone(w.members), learner)...)
		}
		outputs, killed := a.surviving(g, done(step.path, step.after), work(step.kind))
		if !killed {
			t.Fatalf("%s: the point was not reached", step.kind)
		}
		all, err := w.client(w.members[0]).Members(within(t, long))
		if err != nil || len(all) != step.want {
			t.Fatalf("after %s: members %v (%v)", step.kind, all, err)
		}
		switch out := outputs["work"]; step.kind {
		case plan.TaskMemberAdd:
			id = out["id"]
			if out["learner"] != "true" || id == "" {
				t.Errorf("added: %v", out)
			}
		case plan.TaskMemberPromote:
			if out["learner"] != "false" || out["id"] != id || slices.ContainsFunc(all, func(m etcd.Member) bool { return m.Learner }) {
				t.Errorf("promoted: %v, members %v", out, all)
			}
		case plan.TaskEtcdSnapshot:
			hidden, _ := filepath.Glob(filepath.Join(dir, ".*"))
			if len(hidden) > 0 || out["path"] == "" || out["sha256"] == "" || out["size"] == "" {
				t.Errorf("snapshot: %v, left over %v", out, hidden)
			}
		}
	}
	// And once without anybody in between: the member itself checks the plan's certificate.
	direct := work(plan.TaskEtcdSnapshot)
	direct.API = &plan.API{Server: w.members[0].client, CA: w.ca.file, Certificate: "client"}
	deployment := a.publish(direct)
	a.start()
	defer a.process.kill()
	if out := a.await(deployment)["work"]; out["size"] == "" {
		t.Errorf("snapshot: %v", out)
	}
}

func changesObjects(_, method string) bool { return method != http.MethodGet }

// everywhere runs a plan once for every change that it makes, each time with the agent killed
// before it or after it, until there is no such change any more.
func (k *kubernetes) everywhere(t *testing.T, prepare func() []plan.Task, check func()) {
	t.Helper()
	a := k.agent
	g := newGate(t, a, k.ca, k.server, k.ca.clientTLS(filepath.Join(k.pki, "admin")))
	points := 0
	for n := 0; ; n++ {
		reached := false
		for _, after := range []bool{false, true} {
			tasks := prepare()
			for i := range tasks {
				tasks[i].API = g.api()
			}
			_, killed := a.surviving(g, counted(n, after, changesObjects), tasks...)
			if check(); t.Failed() {
				t.Fatalf("after a kill at change %d (after it: %v)\n%s", n, after, a.process.tail())
			}
			if killed {
				reached = true
				points++
			}
		}
		if !reached {
			break
		}
	}
	if points < 6 {
		t.Errorf("only %d points were reached", points)
	}
	t.Logf("killed at %d points", points)
}

func testKilledApply(t *testing.T, k *kubernetes) {
	c, ctx := k.client(), within(t, 3*long)
	path := func(name string) string { return core + "default/configmaps/" + name }
	copied := config("default", "kill-copy", "x")
	copied["metadata"].(thing)["labels"] = thing{cluster.SetLabel: "kill"}
	k.do(http.MethodPost, core+"default/configmaps", copied, nil)
	k.everywhere(t, func() []plan.Task {
		if _, err := c.Prune(ctx, "kill", nil); err != nil {
			t.Fatal(err)
		}
		if err := c.Apply(ctx, []plan.Object{config("default", "kill-a", "1"), config("default", "kill-b", "1")}, cluster.ApplyOptions{Set: "kill"}); err != nil {
			t.Fatal(err)
		}
		objects := []plan.Object{config("default", "kill-b", "2"), config("default", "kill-c", "2")}
		return []plan.Task{
			{Name: "apply", Kind: plan.TaskApply, Set: "kill", Objects: objects},
			{Name: "prune", Kind: plan.TaskPrune, Set: "kill", After: []string{"apply"}},
		}
	}, func() {
		if k.exists(path("kill-a")) || !k.exists(path("kill-copy")) {
			t.Error("what was to go is there, or the stranger's copy is not")
		}
		var inventory struct{ Data map[string]string }
		k.do(http.MethodGet, path("")[:len(path(""))-len("default/configmaps/")]+"kube-system/configmaps/slipway-set-kill", nil, &inventory)
		var members []struct {
			Name, UID string
			Adopted   bool
		}
		if err := json.Unmarshal([]byte(inventory.Data["members"]), &members); err != nil || len(members) != 2 {
			t.Errorf("the inventory is %s (%v)", inventory.Data, err)
		}
		for _, m := range members {
			var live struct {
				Metadata struct{ UID string }
				Data     map[string]string
			}
			k.do(http.MethodGet, path(m.Name), nil, &live)
			// An answer that was lost makes an object that we made look like somebody's only when
			// its label is not ours, and it is.
			if m.UID != live.Metadata.UID || m.Adopted || live.Data["a"] != "2" {
				t.Errorf("inventory %+v, object %+v", m, live)
			}
		}
	})
}

func testKilledDrain(t *testing.T, k *kubernetes) {
	for _, name := range []string{"n1", "w1", "w2", "w3"} {
		if k.exists("/api/v1/nodes/" + name) {
			k.do(http.MethodPatch, "/api/v1/nodes/"+name, thing{"spec": thing{"unschedulable": true}}, nil)
		}
	}
	k.addNode("k1")
	k.addNode("k2")
	c, web := k.client(), deployment("default", "killed", 2, "")
	if err := c.Apply(within(t, long), []plan.Object{web}, cluster.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	from := ""
	on := func(node string) int {
		n := 0
		for _, name := range k.podsOn(node) {
			if strings.HasPrefix(name, "default/killed-") {
				n++
			}
		}
		return n
	}
	k.everywhere(t, func() []plan.Task {
		if err := c.AwaitAvailable(within(t, long), []plan.Object{web}); err != nil {
			t.Fatal(err)
		}
		if from = "k1"; on("k2") > 0 {
			from = "k2"
		}
		return []plan.Task{
			{Name: "cordon", Kind: plan.TaskCordon, Node: from},
			{Name: "drain", Kind: plan.TaskDrain, Node: from, After: []string{"cordon"}},
			{Name: "uncordon", Kind: plan.TaskUncordon, Node: from, After: []string{"drain"}},
		}
	}, func() {
		if n := on(from); n > 0 || k.unschedulable(from) {
			t.Errorf("node %s has %d pods, cordoned: %v", from, n, k.unschedulable(from))
		}
	}) // A budget that allows nothing: the deployment fails at the task's deadline and says why.
	budget := object("policy/v1", "PodDisruptionBudget", "default", "killed-budget", thing{"spec": thing{"minAvailable": 2, "selector": thing{"matchLabels": thing{"app": "killed"}}}})
	if err := c.Apply(within(t, long), []plan.Object{budget}, cluster.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	if from = "k1"; on("k2") > 0 {
		from = "k2"
	}
	api := &plan.API{Server: k.server, CA: k.ca.file, Certificate: "client"}
	k.do(http.MethodPost, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", thing{
		"metadata": thing{"name": "typed-work"}, "roleRef": thing{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
		"subjects": []thing{{"kind": "User", "name": purpose, "apiGroup": "rbac.authorization.k8s.io"}},
	}, nil)
	k.agent.publish(plan.Task{Name: "drain", Kind: plan.TaskDrain, Node: from, API: api, Deployment: "upgrade", Deadline: plan.Duration(15 * time.Second)})
	k.agent.start()
	defer func() { k.agent.process.kill() }()
	reason := k.agent.plane.Await(within(t, long), "upgrade", protocol.Failed).Reason
	says(t, errors.New(reason), "task drain", "drain node "+from, "the task's deadline of 15s has passed", "2 pods are left", "pod default/killed-", "killed-budget")
}
