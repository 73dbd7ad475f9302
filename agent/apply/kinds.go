package apply

import (
	"context"
	"sync"

	"slipway.build/slipway/agent/cluster"
	"slipway.build/slipway/agent/cluster/etcd"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
)

// clients are those that the tasks of one deployment share, one for each endpoint.
type clients struct {
	newCluster func(plan.API) *cluster.Client
	newEtcd    func(plan.API) *etcd.Client

	mu    sync.Mutex
	apis  map[plan.API]*cluster.Client
	etcds map[plan.API]*etcd.Client
}

func (t *transition) clients() *clients {
	return &clients{
		newCluster: t.Cluster, newEtcd: t.Etcd,
		apis: map[plan.API]*cluster.Client{}, etcds: map[plan.API]*etcd.Client{},
	}
}

func (c *clients) close() {
	for _, client := range c.apis {
		client.Close()
	}
	for _, client := range c.etcds {
		client.Close()
	}
}

func (c *clients) api(api plan.API) *cluster.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.apis[api] == nil {
		c.apis[api] = c.newCluster(api)
	}
	return c.apis[api]
}

func (c *clients) etcd(api plan.API) *etcd.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.etcds[api] == nil {
		c.etcds[api] = c.newEtcd(api)
	}
	return c.etcds[api]
}

// do does one task of a validated plan.
func (c *clients) do(ctx context.Context, p *plan.Plan, task plan.Task) (map[string]string, error) {
	if plan.EtcdTask(task.Kind) {
		return c.doEtcd(ctx, p, task)
	}
	api := c.api(*task.API)
	switch task.Kind {
	case plan.TaskApply:
		options := cluster.ApplyOptions{Set: task.Set, Refuse: task.Conflicts == plan.ConflictsRefuse}
		if err := api.Apply(ctx, task.Objects, options); err != nil || !task.Await {
			return nil, err
		}
		return nil, api.AwaitAvailable(ctx, task.Objects)
	case plan.TaskPrune:
		return api.Prune(ctx, task.Set, listed(p, task.Set))
	case plan.TaskNodeReady:
		return nil, api.AwaitNodeReady(ctx, p.Node.Name)
	case plan.TaskCordon:
		return api.Cordon(ctx, task.Node)
	case plan.TaskUncordon:
		return api.Uncordon(ctx, task.Node)
	case plan.TaskDrain:
		var options plan.Drain
		if task.Drain != nil {
			options = *task.Drain
		}
		return api.Drain(ctx, task.Node, options)
	case plan.TaskDeleteNode:
		return api.DeleteNode(ctx, task.Node)
	}
	return nil, fault.Terminalf("kind %q is unknown to this agent", task.Kind)
}

func (c *clients) doEtcd(ctx context.Context, p *plan.Plan, task plan.Task) (map[string]string, error) {
	member := c.etcd(*task.API)
	switch task.Kind {
	case plan.TaskMemberAdd:
		return member.Add(ctx, *task.Member)
	case plan.TaskMemberPromote:
		return member.Promote(ctx, *task.Member)
	case plan.TaskMemberRemove:
		return member.Remove(ctx, *task.Member)
	case plan.TaskEtcdSnapshot:
		return member.Snapshot(ctx, *task.Snapshot, task.Name, p.Generation)
	case plan.TaskEtcdDefrag:
		return member.Defragment(ctx)
	case plan.TaskEtcdDisarm:
		return member.Disarm(ctx)
	}
	return nil, fault.Terminalf("kind %q is unknown to this agent", task.Kind)
}

// listed returns what the plan has in a set.
func listed(p *plan.Plan, set string) []plan.Object {
	var out []plan.Object
	for _, task := range p.Tasks {
		if task.Kind == plan.TaskApply && task.Set == set {
			out = append(out, task.Objects...)
		}
	}
	return out
}
