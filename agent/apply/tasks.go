package apply

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway.build/slipway/agent/cluster"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/health"
	"slipway.build/slipway/agent/importer"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
)

// own reports whether a task belongs to the node's own deployment.
func own(p *plan.Plan, task plan.Task) bool {
	return task.Deployment == "" || task.Deployment == p.Deployment
}

// deployments returns the further deployments that tasks of the plan report to.
func deployments(p *plan.Plan) []string {
	var out []string
	for _, task := range p.Tasks {
		if !own(p, task) && !slices.Contains(out, task.Deployment) {
			out = append(out, task.Deployment)
		}
	}
	return out
}

// importImages gives the pods' images to the runtime.
func (t *transition) importImages(ctx context.Context) error {
	var images []importer.Image
	for _, image := range t.checked.Plan.Images {
		if image.Import != "" {
			images = append(images, importer.Image{
				Name: image.Name, Layout: t.Generations.Images.Layout(image.Digest), Digest: image.Digest, Reference: image.Import,
			})
		}
	}
	return t.Importer.Import(ctx, images)
}

// tasks does the plan's tasks that are chosen and not done yet, each as soon as what it comes
// after is there.
func (t *transition) tasks(ctx context.Context, chosen func(plan.Task) bool) error {
	p := t.checked.Plan
	t.mu.Lock()
	before := slices.Clone(t.entry.TasksDone)
	t.mu.Unlock()
	clients := map[plan.API]*cluster.Client{}
	defer func() {
		for _, client := range clients {
			client.Close()
		}
	}()
	group, ctx := errgroup.WithContext(ctx)
	for _, task := range p.Tasks {
		if !chosen(task) || slices.Contains(before, task.Name) {
			continue
		}
		if clients[*task.API] == nil {
			clients[*task.API] = t.Cluster(*task.API)
		}
		client := clients[*task.API]
		group.Go(func() error {
			if err := t.task(ctx, task, client); err != nil {
				return fmt.Errorf("task %s: %w", task.Name, err)
			}
			close(t.done[task.Name])
			return t.taskDone(task.Name)
		})
	}
	return group.Wait()
}

func (t *transition) task(ctx context.Context, task plan.Task, client *cluster.Client) error {
	var units []string
	for _, after := range task.After {
		earlier, isTask := t.done[after]
		if !isTask {
			units = append(units, after)
			continue
		}
		select {
		case <-earlier:
		case <-ctx.Done():
			return fault.Retriablef("it waits for task %s: %w", after, context.Cause(ctx))
		}
	}
	if err := health.Await(ctx, t.Systemd, units, nil); err != nil {
		return err
	}
	switch task.Kind {
	case plan.TaskApply:
		if err := client.Apply(ctx, task.Objects); err != nil || !task.Await {
			return err
		}
		return client.AwaitAvailable(ctx, task.Objects)
	case plan.TaskNodeReady:
		return client.AwaitNodeReady(ctx, t.checked.Plan.Node.Name)
	default:
		return fault.Terminalf("kind %q is unknown to this agent", task.Kind)
	}
}

func (t *transition) taskDone(name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entry.TasksDone = append(t.entry.TasksDone, name)
	return t.Journal.Put(t.entry)
}

// laterTasks does the tasks of further deployments and reports each deployment on its own. Their
// failure does not undo the generation. Each has the plan's deadline from when the node was
// healthy or the agent took them up again.
func (t *transition) laterTasks(parent context.Context) error {
	p := t.checked.Plan
	group, _ := errgroup.WithContext(parent)
	for _, deployment := range deployments(p) {
		group.Go(func() error {
			ctx, cancel := context.WithTimeoutCause(parent, time.Duration(p.Deadline), fmt.Errorf("%w (%s)", errDeadline, p.Deadline))
			defer cancel()
			return t.laterDeployment(ctx, parent, deployment)
		})
	}
	return group.Wait()
}

func (t *transition) laterDeployment(ctx, parent context.Context, deployment string) error {
	t.mu.Lock()
	reported := slices.Contains(t.entry.Reported, deployment)
	t.mu.Unlock()
	if reported {
		return nil
	}
	signal := protocol.Signal{Deployment: deployment, PlanDigest: t.entry.PlanDigest, Phase: protocol.Healthy}
	err := t.tasks(ctx, func(task plan.Task) bool { return task.Deployment == deployment })
	if err != nil {
		if parent.Err() != nil {
			return context.Cause(parent)
		}
		signal.Phase, signal.Reason = protocol.Failed, err.Error()
		var unit *health.UnitError
		if errors.As(err, &unit) {
			signal.Log = t.Logs(parent, unit.Unit, logLines)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entry.Reported = append(t.entry.Reported, deployment)
	return errors.Join(err, t.put(signal))
}

// markFilled remembers, in journal and exec files, which components have filled their state.
func (t *transition) markFilled() error {
	g, err := t.Generations.Load(t.entry.Generation)
	if err != nil {
		return err
	}
	var dirs, units []string
	for _, unit := range g.Plan.Units {
		if unit.Exec == nil || unit.Exec.State == nil || g.Specs[unit.Name].Filled {
			continue
		}
		sentinel := filepath.Join(unit.Exec.State.Dir, unit.Exec.State.Sentinel)
		if _, err := os.Lstat(sentinel); err != nil {
			t.Log.Warn("a healthy component has not filled its state", "unit", unit.Name, "sentinel", sentinel, "error", err)
			continue
		}
		dirs, units = append(dirs, unit.Exec.State.Dir), append(units, unit.Name)
	}
	if len(units) == 0 {
		return nil
	}
	if err := t.Journal.MarkFilled(dirs); err != nil {
		return err
	}
	return t.Generations.MarkFilled(g, units)
}
