package plan

// Task is typed work on the cluster's own API or on its etcd, done by the agent over loopback
// once the units it waits for are ready. A task is idempotent: done twice, or begun again after
// the agent was killed in the middle of it, it ends the same. Which fields a kind has is in
// taskFields; docs/agent-cluster.md tells what each does.
type Task struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // one of the Task constants
	// After names units of this plan that must be active first, and tasks done first.
	After []string `json:"after,omitempty"`
	// Deployment, when not empty, gets its own healthy or failed signal when all tasks that
	// carry it are done; otherwise the task belongs to the node's deployment.
	Deployment string `json:"deployment,omitempty"`
	API        *API   `json:"api,omitempty"`
	// Deadline bounds one run of the task, from when all that it comes after is there; zero
	// leaves it to the plan's.
	Deadline Duration `json:"deadline,omitempty"`

	// Objects of TaskApply: Kubernetes objects, applied in order by server-side apply, name
	// spaces and custom resource definitions first, webhooks last.
	Objects []Object `json:"objects,omitempty"`
	// Await, for TaskApply: wait until those of the Objects that get ready are.
	Await bool `json:"await,omitempty"`
	// Set, for TaskApply: the set that Objects are remembered in; for TaskPrune: the set of which
	// everything is deleted that no TaskApply of this plan has in it.
	Set string `json:"set,omitempty"`
	// Conflicts, for TaskApply: what to do about a field that another manager has set to
	// something else: take it over (ConflictsTake, the default) or fail (ConflictsRefuse).
	Conflicts string `json:"conflicts,omitempty"`

	Node     string    `json:"node,omitempty"` // the Kubernetes node that the task is about
	Drain    *Drain    `json:"drain,omitempty"`
	Member   *Member   `json:"member,omitempty"`
	Snapshot *Snapshot `json:"snapshot,omitempty"`
}

// Kinds of tasks.
const (
	TaskApply     = "apply"      // server-side apply of Objects
	TaskPrune     = "prune"      // delete what Set has and the plan does not list any more
	TaskNodeReady = "node-ready" // wait until this node's Ready condition is True

	TaskCordon     = "cordon"      // make Node unschedulable
	TaskDrain      = "drain"       // cordon Node and evict its pods, as budgets allow
	TaskUncordon   = "uncordon"    // take back what cordon or drain did
	TaskDeleteNode = "delete-node" // delete the Node object

	TaskMemberAdd     = "etcd-member-add"     // add Member as a learner
	TaskMemberPromote = "etcd-member-promote" // make a voter of the learner
	TaskMemberRemove  = "etcd-member-remove"  // remove Member, if a quorum stays
	TaskEtcdSnapshot  = "etcd-snapshot"       // stream the store to a file of the node
	TaskEtcdDefrag    = "etcd-defragment"     // give free pages of this node's member back
	TaskEtcdDisarm    = "etcd-disarm"         // take back etcd's NOSPACE alarms
)

// What TaskApply does about fields of other managers.
const (
	ConflictsTake   = "take"
	ConflictsRefuse = "refuse"
)

// Drain says what a drain may lose. Pods of DaemonSets and static pods are never touched.
type Drain struct {
	// EmptyDir: pods whose emptyDir volumes are lost with them. Unmanaged: pods that nobody makes
	// again. Each is PodsRefuse, the default (nothing is evicted, the task fails and names them),
	// or PodsDelete.
	EmptyDir  string `json:"emptyDir,omitempty"`
	Unmanaged string `json:"unmanaged,omitempty"`
	// Restore makes the node schedulable again when the drain fails, if it was before.
	Restore bool `json:"restore,omitempty"`
}

// What a drain does about pods that lose something.
const (
	PodsRefuse = "refuse"
	PodsDelete = "delete"
)

// Member names an etcd member. Everything that is given has to match; TaskMemberAdd needs the
// peer URLs, the others need something. Of the three only the id is never used again.
type Member struct {
	ID       string   `json:"id,omitempty"` // hexadecimal, as in the output of TaskMemberAdd
	Name     string   `json:"name,omitempty"`
	PeerURLs []string `json:"peerURLs,omitempty"` // https://host:port
}

// Snapshot says where a snapshot goes: Dir/<task>-<generation>.db, of which the newest Keep are
// kept.
type Snapshot struct {
	Dir  string `json:"dir"`  // absolute; made when it is not there
	Keep int    `json:"keep"` // 1 to 1000
}
