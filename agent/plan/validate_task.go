package plan

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	memberPattern = `^[0-9a-f]{1,16}$`
	groupPattern  = `^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?v[0-9][a-z0-9]{0,20}$`
	setPattern    = `^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`
)

// maxKeep bounds how many snapshots are kept.
const maxKeep = 1000

func (v *validation) tasks() {
	seen := map[string]bool{}
	deployments := map[string]string{} // of the tasks seen
	for i := range v.plan.Tasks {
		task := &v.plan.Tasks[i]
		base := at("tasks", i)
		v.match(base+".name", task.Name, namePattern, "a task name")
		deployment := task.Deployment
		if deployment == v.plan.Deployment {
			deployment = ""
		}
		for j, after := range task.After {
			unit := slices.ContainsFunc(v.plan.Units, func(unit Unit) bool { return unit.Name == after })
			switch {
			case !unit && !seen[after]:
				v.fail(at(base+".after", j), after, "names no unit and no earlier task of this plan")
			case !unit && deployments[after] != "" && deployments[after] != deployment:
				v.fail(at(base+".after", j), after, "is a task of another deployment, which may fail on its own")
			}
		}
		deployments[task.Name] = deployment
		v.once(seen, base+".name", task.Name)
		if task.Deployment != "" {
			v.deployment(base+".deployment", task.Deployment)
		}
		if task.Deadline < 0 || time.Duration(task.Deadline) > time.Duration(v.plan.Deadline) {
			v.fail(base+".deadline", task.Deadline.String(), "must be between zero and the plan's deadline")
		}
		v.taskKind(base, i, task)
		v.api(base+".api", task)
	}
}

// taskFields returns the fields that a kind must have and may have, and whether it exists.
func taskFields(kind string) (needs, may []string, ok bool) {
	switch kind {
	case TaskApply:
		return nil, []string{"objects", "await", "set", "conflicts"}, true
	case TaskPrune:
		return []string{"set"}, nil, true
	case TaskNodeReady, TaskEtcdDefrag, TaskEtcdDisarm:
		return nil, nil, true
	case TaskCordon, TaskUncordon, TaskDeleteNode:
		return []string{"node"}, nil, true
	case TaskDrain:
		return []string{"node"}, []string{"drain"}, true
	case TaskMemberAdd, TaskMemberPromote, TaskMemberRemove:
		return []string{"member"}, nil, true
	case TaskEtcdSnapshot:
		return []string{"snapshot"}, nil, true
	}
	return nil, nil, false
}

// EtcdTask reports whether a kind talks to etcd, not to the API server.
func EtcdTask(kind string) bool { return strings.HasPrefix(kind, "etcd-") }

func (v *validation) taskKind(base string, i int, task *Task) {
	needs, may, ok := taskFields(task.Kind)
	if !ok {
		v.fail(base+".kind", task.Kind, "is no kind of task that this agent knows")
		return
	}
	for _, field := range []struct {
		name string
		set  bool
	}{
		{"objects", len(task.Objects) > 0}, {"await", task.Await}, {"set", task.Set != ""}, {"conflicts", task.Conflicts != ""},
		{"node", task.Node != ""}, {"drain", task.Drain != nil}, {"member", task.Member != nil}, {"snapshot", task.Snapshot != nil},
	} {
		needed := slices.Contains(needs, field.name)
		switch {
		case needed && !field.set:
			v.fail(base+"."+field.name, "", "is needed by a task of kind %s", task.Kind)
		case field.set && !needed && !slices.Contains(may, field.name):
			v.fail(base+"."+field.name, "", "a task of kind %s has none", task.Kind)
		}
	}
	for j, object := range task.Objects {
		v.object(at(base+".objects", j), object)
	}
	if task.Set != "" {
		v.match(base+".set", task.Set, setPattern, "a name of at most 40 lower-case letters, digits and dashes")
	}
	if task.Node != "" {
		v.match(base+".node", task.Node, namePattern, "a node name")
	}
	v.choice(base+".conflicts", task.Conflicts, ConflictsTake, ConflictsRefuse)
	if task.Kind == TaskPrune {
		v.prune(base, i, task)
	}
	if d := task.Drain; d != nil {
		v.choice(base+".drain.emptyDir", d.EmptyDir, PodsRefuse, PodsDelete)
		v.choice(base+".drain.unmanaged", d.Unmanaged, PodsRefuse, PodsDelete)
	}
	if task.Member != nil {
		v.member(base+".member", task.Kind, task.Member)
	}
	if s := task.Snapshot; s != nil {
		v.absolute(base+".snapshot.dir", s.Dir)
		if s.Keep < 1 || s.Keep > maxKeep {
			v.fail(base+".snapshot.keep", "", "must be between 1 and %d", maxKeep)
		}
	}
}

// prune demands that whatever fills the set in this plan is done before: a set that is pruned
// while objects are still to come would lose them.
func (v *validation) prune(base string, i int, task *Task) {
	for j := range v.plan.Tasks {
		other := &v.plan.Tasks[j]
		if other.Kind == TaskApply && other.Set == task.Set && (j > i || !slices.Contains(task.After, other.Name)) {
			v.fail(base+".after", "", "must name task %q, which applies objects of the set", other.Name)
		}
	}
}

func (v *validation) member(base, kind string, member *Member) {
	if member.ID != "" {
		v.match(base+".id", member.ID, memberPattern, "a member's id in hexadecimal")
	}
	if member.Name != "" {
		v.match(base+".name", member.Name, namePattern, "a member's name")
	}
	for i, peer := range member.PeerURLs {
		u, err := url.Parse(peer)
		if err != nil || u.Scheme != "https" || u.Port() == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
			v.fail(at(base+".peerURLs", i), peer, "must be https://host:port")
		}
	}
	switch {
	case kind == TaskMemberAdd && len(member.PeerURLs) == 0:
		v.fail(base+".peerURLs", "", "is needed by a task of kind %s", kind)
	case kind == TaskMemberAdd && member.ID != "":
		v.fail(base+".id", member.ID, "etcd gives the id")
	case member.ID == "" && member.Name == "" && len(member.PeerURLs) == 0:
		v.fail(base, "", "must name the member by id, name or peer URLs")
	}
}

func (v *validation) choice(at, value string, choices ...string) {
	if value != "" && !slices.Contains(choices, value) {
		v.fail(at, value, "must be one of %s", strings.Join(choices, ", "))
	}
}

func (v *validation) object(base string, object Object) {
	metadata, _ := object["metadata"].(map[string]any)
	for name, value := range map[string]any{"apiVersion": object["apiVersion"], "kind": object["kind"], "metadata.name": metadata["name"]} {
		if text, ok := value.(string); !ok || text == "" {
			v.fail(base+"."+name, "", "must be a string that is not empty")
		}
	}
	if version, _ := object["apiVersion"].(string); version != "" {
		v.match(base+".apiVersion", version, groupPattern, "an API version such as apps/v1")
	}
}

func (v *validation) api(base string, task *Task) {
	api := task.API
	if api == nil {
		v.fail(base, "", "is needed: every task talks to the cluster's API or to etcd")
		return
	}
	u, err := url.Parse(api.Server)
	if err != nil || u.Scheme != "https" || u.Port() == "" || u.User != nil || (u.Path != "" && u.Path != "/") {
		v.fail(base+".server", api.Server, "must be https://host:port")
	} else if EtcdTask(task.Kind) {
		v.local(base+".server", u)
	}
	v.absolute(base+".ca", api.CA)
	if !slices.ContainsFunc(v.plan.Certificates, func(c Certificate) bool { return c.Name == api.Certificate }) {
		v.fail(base+".certificate", api.Certificate, "names no certificate of this plan")
	}
}
