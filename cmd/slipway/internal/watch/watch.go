package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"slipway.build/slipway/cmd/slipway/internal/apiclient"
	"slipway.build/slipway/cmd/slipway/internal/progress"
)

// API is what is asked of slipwayd.
type API interface {
	Cluster(ctx context.Context, nameOrID string) (*apiclient.Cluster, error)
	Stack(ctx context.Context, project, id string) (apiclient.StackRef, error)
	Graph(ctx context.Context, s apiclient.StackRef) (*apiclient.Graph, error)
}

// Watcher follows clusters.
type Watcher struct {
	API    API
	Report progress.Reporter
	// Interval is the time between two looks at the cluster; 300 ms when zero.
	Interval time.Duration
	// GraphInterval is the time between two looks at all its resources, which cost slipwayd a
	// hundred times as much; one second when zero. The last look always has them.
	GraphInterval time.Duration
	// Patience is how long slipwayd may be away before following fails; one minute when zero.
	// It is not counted while the context lives on: a restart of slipwayd is no failure.
	Patience time.Duration
}

// ErrGone says that the cluster is not there (any more).
var ErrGone = errors.New("the cluster is gone")

// Until follows the cluster until its operation has ended and returns its last state. It
// fails with the cluster's own reason when the operation failed, and with ErrGone when the
// cluster went away.
func (w *Watcher) Until(ctx context.Context, uuid string) (*apiclient.Cluster, error) {
	interval, patience := w.Interval, w.Patience
	if interval == 0 {
		interval = 300 * time.Millisecond
	}
	if patience == 0 {
		patience = time.Minute
	}
	look := looks{interval: cmp.Or(w.GraphInterval, time.Second)}
	var away time.Time
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		cluster, err := w.look(ctx, uuid, &look)
		switch {
		case err == nil && !cluster.InProgress():
			w.end(cluster)
			if cluster.Failed() {
				return cluster, Failure(cluster)
			}
			return cluster, nil
		case err == nil:
			away = time.Time{}
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case apiclient.IsNotFound(err):
			return nil, ErrGone
		case apiclient.IsUnreachable(err):
			if away.IsZero() {
				away = time.Now()
				w.Report.Note("slipwayd does not answer; what was begun goes on without it, waiting for it to come back")
			}
			if time.Since(away) > patience {
				return nil, err
			}
		default:
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// Failure is the error of a cluster whose last operation failed: its reason and the faults
// of its nodegroups.
func Failure(c *apiclient.Cluster) error {
	reason := c.StatusReason
	if reason == "" {
		reason = "the server gives no reason"
	}
	var groups []string
	for name, fault := range c.Faults {
		if !strings.Contains(reason, fault) {
			groups = append(groups, name+": "+fault)
		}
	}
	sort.Strings(groups)
	if len(groups) > 0 {
		reason += " (" + strings.Join(groups, "; ") + ")"
	}
	return fmt.Errorf("cluster %s is %s: %s", c.Name, c.Status, reason)
}

// looks is what is kept from one look to the next.
type looks struct {
	stack    apiclient.StackRef
	interval time.Duration
	graph    time.Time // when all resources were looked at
}

// look reads the state once and reports it.
func (w *Watcher) look(ctx context.Context, uuid string, last *looks) (*apiclient.Cluster, error) {
	cluster, err := w.API.Cluster(ctx, uuid)
	if err != nil {
		return nil, err
	}
	if cluster.StackID == "" {
		w.Report.Report(progress.Update{Task: "cluster/" + cluster.UUID, Label: "cluster " + cluster.Name, State: progress.Running, Detail: "waiting for the conductor"})
		return cluster, nil
	}
	if cluster.InProgress() && time.Since(last.graph) < last.interval {
		return cluster, nil
	}
	if last.stack.ID == "" {
		if last.stack, err = w.API.Stack(ctx, cluster.ProjectID, cluster.StackID); err != nil {
			return w.withoutStack(cluster, err)
		}
	}
	graph, err := w.API.Graph(ctx, last.stack)
	if err != nil {
		return w.withoutStack(cluster, err)
	}
	last.graph = time.Now()
	w.graph(cluster, graph)
	return cluster, nil
}

// withoutStack forgives that a stack is not there (yet, or any more): the cluster's own state
// decides.
func (w *Watcher) withoutStack(cluster *apiclient.Cluster, err error) (*apiclient.Cluster, error) {
	if apiclient.IsNotFound(err) {
		return cluster, nil
	}
	return nil, err
}

// end shows how the operation ended.
func (w *Watcher) end(c *apiclient.Cluster) {
	u := progress.Update{Task: "cluster/" + c.UUID, Label: "cluster " + c.Name, State: progress.Done, Detail: c.Status}
	if c.Failed() {
		u.State, u.Detail = progress.Failed, c.Status+": "+c.StatusReason
	}
	w.Report.Report(u)
}

// graph reports the graph as a whole and every node.
func (w *Watcher) graph(c *apiclient.Cluster, g *apiclient.Graph) {
	deleting := strings.HasPrefix(c.Status, "DELETE")
	var done int64
	var busy []string
	for _, r := range g.Nodes {
		switch {
		case deleting && r.Status == "DELETE_COMPLETE", !deleting && complete(r):
			done++
		case strings.HasSuffix(r.Status, "_IN_PROGRESS") && r.Parent == "":
			busy = append(busy, r.Name)
		}
	}
	sort.Strings(busy)
	if len(busy) > 4 {
		busy = append(busy[:4], fmt.Sprintf("and %d more", len(busy)-4))
	}
	w.Report.Report(progress.Update{Task: "cluster/" + c.UUID, Label: "cluster " + c.Name, State: progress.Running,
		Done: done, Total: int64(len(g.Nodes)), Detail: strings.Join(busy, ", ")})
	if deleting {
		return
	}
	for _, n := range nodesOf(g) {
		w.Report.Report(n.update())
	}
}
