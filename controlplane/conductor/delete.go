package conductor

import (
	"context"

	"slipway.build/slipway/controlplane/store"
)

// delete carries out the deletion of a cluster. The cluster's row goes last, so that an
// interrupted deletion is found and finished.
func (c *Conductor) delete(ctx context.Context, o *store.Operation) error {
	cluster, err := c.Store.Cluster(ctx, o.ClusterID)
	if store.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if cluster.StackID != nil {
		if err := c.Engine.DeleteStack(ctx, *cluster.StackID, o.Fence(), o.Actor, 0); err != nil {
			return err
		}
		result, err := c.Engine.Run(ctx, *cluster.StackID, o.Fence())
		if err != nil {
			return err
		}
		if result.Status != store.DeleteComplete {
			return c.failDelete(ctx, o, result.Reason)
		}
	}
	return c.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.CheckFence(ctx, o.Fence()); err != nil {
			return err
		}
		return tx.DeleteCluster(ctx, o.ClusterID)
	})
}

func (c *Conductor) failDelete(ctx context.Context, o *store.Operation, reason string) error {
	return c.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.CheckFence(ctx, o.Fence()); err != nil {
			return err
		}
		if err := tx.SetClusterStatus(ctx, o.ClusterID, store.DeleteFailed, reason); err != nil {
			return err
		}
		return tx.SetNodegroupsStatus(ctx, o.ClusterID, store.DeleteFailed, reason)
	})
}
