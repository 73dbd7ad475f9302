package plan_test

import (
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
)

// withTask returns a valid plan with one more task.
func withTask(task plan.Task) *plan.Plan {
	p := good()
	task.Name = "work"
	if task.API == nil {
		api := *p.Tasks[0].API
		task.API = &api
	}
	p.Tasks = append(p.Tasks, task)
	return p
}

func validTasks() map[string]plan.Task {
	learner := &plan.Member{Name: "m3", PeerURLs: []string{"https://10.0.0.8:2380"}}
	return map[string]plan.Task{
		"apply to a set":    {Kind: plan.TaskApply, Set: "dns", Await: true, Conflicts: plan.ConflictsRefuse},
		"prune":             {Kind: plan.TaskPrune, Set: "dns"},
		"cordon":            {Kind: plan.TaskCordon, Node: "w1"},
		"drain":             {Kind: plan.TaskDrain, Node: "w1", Deadline: plan.Duration(time.Second), Drain: &plan.Drain{EmptyDir: plan.PodsDelete, Unmanaged: plan.PodsRefuse, Restore: true}},
		"drain by defaults": {Kind: plan.TaskDrain, Node: "w1"},
		"uncordon":          {Kind: plan.TaskUncordon, Node: "w1"},
		"delete a node":     {Kind: plan.TaskDeleteNode, Node: "w1"},
		"add a member":      {Kind: plan.TaskMemberAdd, Member: learner},
		"promote":           {Kind: plan.TaskMemberPromote, Member: learner},
		"remove by id":      {Kind: plan.TaskMemberRemove, Member: &plan.Member{ID: "8e9e05c52164694d"}},
		"snapshot":          {Kind: plan.TaskEtcdSnapshot, Snapshot: &plan.Snapshot{Dir: "/var/lib/slipway/snapshots", Keep: 3}},
		"defragment":        {Kind: plan.TaskEtcdDefrag},
		"disarm":            {Kind: plan.TaskEtcdDisarm},
	}
}

func TestEveryKindOfTaskIsAccepted(t *testing.T) {
	for name, task := range validTasks() {
		if err := withTask(task).Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAFieldOfAnotherKindIsRefused(t *testing.T) {
	set := map[string]func(*plan.Task){
		"objects": func(t *plan.Task) {
			t.Objects = []plan.Object{{"apiVersion": "v1", "kind": "A", "metadata": map[string]any{"name": "a"}}}
		},
		"await":     func(t *plan.Task) { t.Await = true },
		"set":       func(t *plan.Task) { t.Set = "x" },
		"conflicts": func(t *plan.Task) { t.Conflicts = plan.ConflictsTake },
		"node":      func(t *plan.Task) { t.Node = "n" },
		"drain":     func(t *plan.Task) { t.Drain = &plan.Drain{} },
		"member":    func(t *plan.Task) { t.Member = &plan.Member{Name: "m"} },
		"snapshot":  func(t *plan.Task) { t.Snapshot = &plan.Snapshot{Dir: "/x", Keep: 1} },
	}
	allowed := map[string]string{
		plan.TaskApply: "objects await set conflicts", plan.TaskPrune: "set", plan.TaskDrain: "node drain",
		plan.TaskCordon: "node", plan.TaskUncordon: "node", plan.TaskDeleteNode: "node", plan.TaskEtcdSnapshot: "snapshot",
		plan.TaskMemberAdd: "member", plan.TaskMemberPromote: "member", plan.TaskMemberRemove: "member",
	}
	for name, task := range validTasks() {
		for field, change := range set {
			if strings.Contains(" "+allowed[task.Kind]+" ", " "+field+" ") {
				continue
			}
			changed := task
			change(&changed)
			err := withTask(changed).Validate()
			if !fault.IsTerminal(err) || !strings.Contains(err.Error(), "tasks[2]."+field+": a task of kind "+task.Kind+" has none") {
				t.Errorf("%s with %s: %v", name, field, err)
			}
		}
	}
}

func TestFaultsOfTasksNameTheirField(t *testing.T) {
	for name, test := range map[string]struct {
		kind   string
		change func(*plan.Plan, *plan.Task)
		path   string
	}{
		"prune without set":           {"prune", func(_ *plan.Plan, t *plan.Task) { t.Set = "" }, "tasks[2].set"},
		"set with a slash":            {"prune", func(_ *plan.Plan, t *plan.Task) { t.Set = "a/b" }, "tasks[2].set"},
		"prune before its apply":      {"prune", func(p *plan.Plan, _ *plan.Task) { p.Tasks[0].Set = "dns" }, "tasks[2].after"},
		"unknown way with conflicts":  {"apply to a set", func(_ *plan.Plan, t *plan.Task) { t.Conflicts = "win" }, "tasks[2].conflicts"},
		"cordon without node":         {"cordon", func(_ *plan.Plan, t *plan.Task) { t.Node = "" }, "tasks[2].node"},
		"node with a slash":           {"cordon", func(_ *plan.Plan, t *plan.Task) { t.Node = "a/b" }, "tasks[2].node"},
		"unknown emptyDir policy":     {"drain", func(_ *plan.Plan, t *plan.Task) { t.Drain = &plan.Drain{EmptyDir: "keep"} }, "tasks[2].drain.emptyDir"},
		"unknown unmanaged policy":    {"drain", func(_ *plan.Plan, t *plan.Task) { t.Drain = &plan.Drain{Unmanaged: "keep"} }, "tasks[2].drain.unmanaged"},
		"deadline after the plan's":   {"drain", func(p *plan.Plan, t *plan.Task) { t.Deadline = p.Deadline + 1 }, "tasks[2].deadline"},
		"negative deadline":           {"drain", func(_ *plan.Plan, t *plan.Task) { t.Deadline = -1 }, "tasks[2].deadline"},
		"add without peer URLs":       {"add a member", func(_ *plan.Plan, t *plan.Task) { t.Member = &plan.Member{Name: "m"} }, "tasks[2].member.peerURLs"},
		"add with an id":              {"add a member", func(_ *plan.Plan, t *plan.Task) { t.Member.ID = "1" }, "tasks[2].member.id"},
		"peer URL without TLS":        {"add a member", func(_ *plan.Plan, t *plan.Task) { t.Member.PeerURLs[0] = "http://10.0.0.8:2380" }, "tasks[2].member.peerURLs[0]"},
		"peer URL with a path":        {"add a member", func(_ *plan.Plan, t *plan.Task) { t.Member.PeerURLs[0] = "https://10.0.0.8:2380/x" }, "tasks[2].member.peerURLs[0]"},
		"remove without a name":       {"remove by id", func(_ *plan.Plan, t *plan.Task) { t.Member = &plan.Member{} }, "tasks[2].member"},
		"decimal id of 20 digits":     {"remove by id", func(_ *plan.Plan, t *plan.Task) { t.Member.ID = "10276657743932975437" }, "tasks[2].member.id"},
		"snapshot to a relative path": {"snapshot", func(_ *plan.Plan, t *plan.Task) { t.Snapshot.Dir = "x" }, "tasks[2].snapshot.dir"},
		"snapshot that keeps none":    {"snapshot", func(_ *plan.Plan, t *plan.Task) { t.Snapshot.Keep = 0 }, "tasks[2].snapshot.keep"},
		"snapshot without arguments":  {"snapshot", func(_ *plan.Plan, t *plan.Task) { t.Snapshot = nil }, "tasks[2].snapshot"},
		"etcd of another host":        {"disarm", func(_ *plan.Plan, t *plan.Task) { t.API.Server = "https://10.0.0.77:2379" }, "tasks[2].api.server"},
		"version that escapes":        {"prune", func(p *plan.Plan, _ *plan.Task) { p.Tasks[0].Objects[0]["apiVersion"] = "v1/../../x" }, "tasks[0].objects[0].apiVersion"},
	} {
		p := withTask(validTasks()[test.kind])
		test.change(p, &p.Tasks[2])
		if err := p.Validate(); !fault.IsTerminal(err) || !strings.Contains(err.Error(), test.path+":") {
			t.Errorf("%s: %v, want a terminal error that names %s", name, err, test.path)
		}
	}
}

func TestAnUnknownFieldOfATaskIsNamed(t *testing.T) {
	raw, err := withTask(validTasks()["drain"]).Canonical()
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(raw), `"restore":true`, `"restored":true`, 1)
	if _, err := plan.Parse([]byte(changed)); err == nil || !strings.Contains(err.Error(), "tasks[2].drain.restored") {
		t.Errorf("error %v", err)
	}
}
