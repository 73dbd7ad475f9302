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

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/health"
	"slipway.build/slipway/agent/importer"
	"slipway.build/slipway/agent/journal"
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
	c := t.clients()
	defer c.close()
	group, ctx := errgroup.WithContext(ctx)
	for _, task := range p.Tasks {
		if !chosen(task) || slices.Contains(before, task.Name) {
			continue
		}
		group.Go(func() error {
			outputs, err := t.task(ctx, task, c)
			if err == nil {
				err = t.taskDone(task.Name, outputs)
			}
			if err != nil {
				return fmt.Errorf("task %s: %w", task.Name, err)
			}
			// Not before it is journalled: nothing that comes after may be done in a journal in
			// which this is not, or a later run would do them in the wrong order.
			close(t.done[task.Name])
			return nil
		})
	}
	return group.Wait()
}

// task waits for what the task comes after and does it.
func (t *transition) task(ctx context.Context, task plan.Task, c *clients) (map[string]string, error) {
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
			return nil, fault.Retriablef("it waits for task %s: %w", after, context.Cause(ctx))
		}
	}
	if err := health.Await(ctx, t.Systemd, units, nil); err != nil {
		return nil, err
	}
	if task.Deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, time.Duration(task.Deadline), fmt.Errorf("the task's deadline of %s has passed", task.Deadline))
		defer cancel()
	}
	return c.do(ctx, t.checked.Plan, task)
}

func (t *transition) taskDone(name string, outputs map[string]string) error {
	return t.commit(func(entry *journal.Entry) {
		entry.TasksDone = append(entry.TasksDone, name)
		if len(outputs) == 0 {
			return
		}
		all := map[string]map[string]string{name: outputs}
		for task, found := range entry.Outputs {
			all[task] = found
		}
		entry.Outputs = all
	})
}

// outputs returns what the tasks of a deployment found out, for its last signal.
func (t *transition) outputs(deployment string) map[string]map[string]string {
	entry := t.known()
	var out map[string]map[string]string
	for _, task := range t.checked.Plan.Tasks {
		found := entry.Outputs[task.Name]
		if len(found) == 0 || task.Deployment != deployment && (deployment != entry.Deployment || task.Deployment != "") {
			continue
		}
		if out == nil {
			out = map[string]map[string]string{}
		}
		out[task.Name] = found
	}
	return out
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
	signal := protocol.Signal{Deployment: deployment, PlanDigest: t.known().PlanDigest, Phase: protocol.Healthy}
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
	signal.Outputs = t.outputs(deployment)
	return errors.Join(err, t.commit(func(entry *journal.Entry) { entry.Reported = append(entry.Reported, deployment) }, signal))
}

// markFilled remembers, in journal and exec files, which components have filled their state.
func (t *transition) markFilled() error {
	g, err := t.Generations.Load(t.known().Generation)
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
