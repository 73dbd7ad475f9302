package conductor

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/components"
	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/fault"
	"slipway.build/slipway/controlplane/nodeapi"
	"slipway.build/slipway/controlplane/pki"
	"slipway.build/slipway/controlplane/store"
)

// deployment is Slipway::Node::Deployment: it publishes a node's plan and is complete once the
// node has signalled that it is healthy on it. The resource's key is the deployment's id.
type deployment struct {
	store       *store.Store
	plans       *pki.PlanSigner
	authorities *pki.Authorities
	trust       Trust
	planLife    time.Duration // PlanLife when zero
	now         func() time.Time
}

// PlanLife is how long a node may begin to apply a plan after it was made. What has begun goes on.
const PlanLife = 30 * 24 * time.Hour

func planLife(life time.Duration) time.Duration {
	if life == 0 {
		return PlanLife
	}
	return life
}

func (deployment) Schema() cloud.Schema {
	return cloud.Schema{Properties: factProperties(), Attributes: []string{"plan_digest"}}
}

func (d deployment) Create(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	node := text(req, "node")
	published, err := d.store.PlanOf(ctx, node, req.Key)
	switch {
	case err == nil:
		return planned(req, published.Digest), nil
	case !store.IsNotFound(err):
		return cloud.Object{}, err
	}
	c, n, err := d.facts(ctx, req)
	if err != nil {
		return cloud.Object{}, fmt.Errorf("facts for node %s: %w", node, err)
	}
	render := components.Worker
	if n.Role == components.RoleMaster {
		render = components.Master
	}
	p, err := render(c, n)
	if err != nil {
		return cloud.Object{}, fault.Terminalf("plan of node %s: %w", n.Name, err)
	}
	p.Issue(d.now(), planLife(d.planLife))
	canonical, err := p.Canonical()
	if err != nil {
		return cloud.Object{}, err
	}
	digest := plan.DigestOf(canonical)
	envelope, err := d.plans.Sign(ctx, canonical)
	if err != nil {
		return cloud.Object{}, err
	}
	err = d.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertPlan(ctx, &store.Plan{
			NodeID: node, Generation: p.Generation, Deployment: req.Key, Digest: digest, Envelope: envelope,
		})
	})
	if err != nil {
		return cloud.Object{}, err
	}
	return planned(req, digest), nil
}

func planned(req cloud.Request, digest string) cloud.Object {
	return cloud.Object{Physical: req.Key, Attributes: map[string]any{"plan_digest": digest}}
}

// Await waits for the node's verdict on the deployment.
func (d deployment) Await(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	node := text(req, "node")
	if err := awaitSignal(ctx, d.store, node, req.Key); err != nil {
		return cloud.Object{}, err
	}
	if err := d.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.Node(ctx, node)
		if err != nil || n.Role != store.RoleMaster {
			return err
		}
		_, err = tx.SetFactOnce(ctx, req.Cluster, factEtcd, "true")
		return err
	}); err != nil {
		return cloud.Object{}, err
	}
	published, err := d.store.PlanOf(ctx, node, req.Key)
	if err != nil {
		return cloud.Object{}, err
	}
	return planned(req, published.Digest), nil
}

// Delete leaves nothing to do: plans and signals go with the node's registration.
func (deployment) Delete(context.Context, cloud.Request) error { return nil }

// clusterWork is Slipway::Cluster::Deployment: complete once the first master has applied the
// cluster's own objects.
type clusterWork struct{ store *store.Store }

func (clusterWork) Schema() cloud.Schema {
	return cloud.Schema{Properties: []cloud.Property{{Name: "node", Kind: cloud.String, Required: true}}}
}

func (clusterWork) Create(_ context.Context, req cloud.Request) (cloud.Object, error) {
	return cloud.Object{Physical: clusterDeployment(req.Cluster)}, nil
}

func (w clusterWork) Await(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	id := clusterDeployment(req.Cluster)
	if err := awaitSignal(ctx, w.store, text(req, "node"), id); err != nil {
		return cloud.Object{}, err
	}
	return cloud.Object{Physical: id}, nil
}

func (clusterWork) Delete(context.Context, cloud.Request) error { return nil }

// clusterDeployment is the id of the deployment of a cluster's own objects. It follows from
// the cluster's, because the first master's plan names it before the resource exists.
func clusterDeployment(cluster string) string {
	space, err := uuid.Parse(cluster)
	if err != nil {
		space = uuid.NameSpaceURL
	}
	return uuid.NewSHA1(space, []byte("cluster deployment "+cluster)).String()
}

// awaitSignal returns once the node has called the deployment healthy, or with a terminal
// error that carries the node's reason once it has called it failed.
func awaitSignal(ctx context.Context, s *store.Store, node, deployment string) error {
	sub := s.Subscribe(store.NodeTopic(node))
	defer sub.Close()
	var seen int64
	for {
		signals, err := s.Signals(ctx, deployment, seen)
		if err != nil {
			return err
		}
		for _, row := range signals {
			seen = row.Seq
			switch protocol.Phase(row.Phase) {
			case protocol.Healthy:
				return nil
			case protocol.Failed, protocol.RolledBack:
				var signal protocol.Signal
				if err := json.Unmarshal(row.Body, &signal); err != nil {
					return fault.Terminalf("node %s: deployment %s: its report cannot be read: %w", node, row.Phase, err)
				}
				return fault.Terminalf("%s", signal.Reason)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for node %s to be healthy: %w", nodeName(s, node), context.Cause(ctx))
		case <-sub.C:
		}
	}
}

// nodeName is a name for messages.
func nodeName(s *store.Store, id string) string {
	node, err := s.Node(context.Background(), id)
	if err != nil {
		return id
	}
	return node.Name + " (" + lastWords(s, node) + ")"
}

// lastWords says how far a node has come, for a person who asks why it is late.
func lastWords(s *store.Store, node *store.Node) string {
	report, found, err := nodeapi.LastReport(context.Background(), s, node.ClusterID, node.ID)
	switch {
	case err != nil:
		return "its last report cannot be read: " + err.Error()
	case !found && node.State == store.NodeRegistered:
		return "it has not joined"
	case !found:
		return "it has joined and reported nothing since"
	case report.Progress == nil || report.Progress.Waiting == "":
		return "its last report: " + string(report.Phase)
	default:
		return "its last report: " + string(report.Phase) + ", waiting for " + report.Progress.Waiting
	}
}
