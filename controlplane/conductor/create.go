package conductor

import (
	"context"
	"fmt"
	"time"

	"slipway.build/slipway/controlplane/fault"
	"slipway.build/slipway/controlplane/orchestration/engine"
	"slipway.build/slipway/controlplane/store"
)

// Engine is what the conductor needs of the orchestration engine; engine.Engine is one.
type Engine interface {
	CreateStack(ctx context.Context, tx *store.Tx, s engine.Spec) (string, error)
	Run(ctx context.Context, root string, fence store.Fence) (engine.Result, error)
	DeleteStack(ctx context.Context, root string, fence store.Fence, actor string, timeout time.Duration) error
}

// create carries out the creation of a cluster.
func (c *Conductor) create(ctx context.Context, o *store.Operation) error {
	cluster, err := c.Store.Cluster(ctx, o.ClusterID)
	if err != nil {
		return err
	}
	if cluster.Status != store.CreateInProgress {
		return fault.Terminalf("cluster %s is %s: there is nothing to create", cluster.Name, cluster.Status)
	}
	if err := ensureSecrets(ctx, c.Store, c.Sealer, cluster.UUID); err != nil {
		return err
	}
	if cluster.StackID == nil {
		if cluster, err = c.begin(ctx, o); fault.IsTerminal(err) {
			return c.finishCreate(ctx, o, engine.Result{Status: store.CreateFailed, Reason: err.Error()})
		} else if err != nil {
			return err
		}
	}
	result, err := c.Engine.Run(ctx, *cluster.StackID, o.Fence())
	if err != nil {
		return err
	}
	return c.finishCreate(ctx, o, result)
}

// begin makes the cluster's stack and notes it with the cluster and its nodegroups, all in one
// transaction: nothing exists in the cloud before it.
func (c *Conductor) begin(ctx context.Context, o *store.Operation) (*store.Cluster, error) {
	var cluster *store.Cluster
	err := c.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		if err := tx.CheckFence(ctx, o.Fence()); err != nil {
			return err
		}
		if cluster, err = tx.Cluster(ctx, o.ClusterID); err != nil {
			return err
		}
		groups, err := tx.Nodegroups(ctx, o.ClusterID, "", store.Page{})
		if err != nil {
			return err
		}
		template, err := tx.ClusterTemplate(ctx, cluster.ClusterTemplateID)
		if err != nil {
			return err
		}
		spec, err := stackSpec(cluster, groups, template, o.Actor)
		if err != nil {
			return err
		}
		if spec.ID, err = c.Engine.CreateStack(ctx, tx, spec); err != nil {
			return err
		}
		cluster.StackID = &spec.ID
		for i := range groups {
			groups[i].StackID = &spec.ID
			if err := tx.UpdateNodegroup(ctx, &groups[i]); err != nil {
				return err
			}
		}
		return tx.UpdateCluster(ctx, cluster)
	})
	return cluster, err
}

// finishCreate writes the outcome to the cluster and its nodegroups.
func (c *Conductor) finishCreate(ctx context.Context, o *store.Operation, result engine.Result) error {
	return c.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.CheckFence(ctx, o.Fence()); err != nil {
			return err
		}
		cluster, err := tx.Cluster(ctx, o.ClusterID)
		if err != nil {
			return err
		}
		cluster.Status, cluster.StatusReason = result.Status, nil
		if result.Status != store.CreateComplete {
			cluster.StatusReason = &result.Reason
		}
		if address, ok := result.Outputs["api_address"].(string); ok && address != "" {
			url := fmt.Sprintf("https://%s:%d", address, apiPort)
			cluster.APIAddress = &url
		}
		if err := tx.UpdateCluster(ctx, cluster); err != nil {
			return err
		}
		return finishNodegroups(ctx, tx, cluster)
	})
}

// finishNodegroups gives the nodegroups the cluster's outcome and their nodes' addresses.
func finishNodegroups(ctx context.Context, tx *store.Tx, cluster *store.Cluster) error {
	groups, err := tx.Nodegroups(ctx, cluster.UUID, "", store.Page{})
	if err != nil {
		return err
	}
	for i := range groups {
		g := &groups[i]
		nodes, err := tx.Nodes(ctx, cluster.UUID, g.Role)
		if err != nil {
			return err
		}
		g.NodeAddresses = nil
		for _, n := range nodes {
			if n.Nodegroup == g.UUID {
				g.NodeAddresses = append(g.NodeAddresses, n.Address)
			}
		}
		g.Status, g.StatusReason = cluster.Status, cluster.StatusReason
		if err := tx.UpdateNodegroup(ctx, g); err != nil {
			return err
		}
	}
	return nil
}
