package api

import (
	"context"
	"net/http"

	"slipway.build/slipway/controlplane/identity"
	"slipway.build/slipway/controlplane/store"
)

var clusterSortKeys = []string{"uuid", "name", "status", "cluster_template_id", "keypair", "created_at", "updated_at", "health_status", "stack_id"}

func (s *server) listClusters(w http.ResponseWriter, r *http.Request) error {
	base := baseOf(r)
	return s.writeClusters(w, r, "clusters", func(c *store.Cluster, groups []store.Nodegroup, _ *store.ClusterTemplate) any {
		return viewClusterItem(base, c, groups)
	})
}

func (s *server) listClustersDetail(w http.ResponseWriter, r *http.Request) error {
	base := baseOf(r)
	return s.writeClusters(w, r, "clusters/detail", func(c *store.Cluster, groups []store.Nodegroup, t *store.ClusterTemplate) any {
		return viewClusterDetail(base, c, groups, t)
	})
}

func (s *server) writeClusters(w http.ResponseWriter, r *http.Request, resource string, view func(*store.Cluster, []store.Nodegroup, *store.ClusterTemplate) any) error {
	ctx, caller := r.Context(), identity.FromContext(r.Context())
	p, err := readPage(r, clusterSortKeys...)
	if err != nil {
		return err
	}
	if p.marker != "" {
		if _, err := findCluster(ctx, s.Store, caller, p.marker); err != nil {
			return err
		}
	}
	clusters, err := s.Store.Clusters(ctx, caller.ProjectID, p.stored())
	if err != nil {
		return err
	}
	ids := make([]string, len(clusters))
	for i := range clusters {
		ids[i] = clusters[i].UUID
	}
	groups, err := s.Store.NodegroupsOf(ctx, ids)
	if err != nil {
		return err
	}
	templates := map[string]*store.ClusterTemplate{}
	items := make([]any, 0, len(clusters))
	for i := range clusters {
		c := &clusters[i]
		if _, ok := templates[c.ClusterTemplateID]; !ok {
			if templates[c.ClusterTemplateID], err = s.templateOf(ctx, c); err != nil {
				return err
			}
		}
		items = append(items, view(c, groups[c.UUID], templates[c.ClusterTemplateID]))
	}
	last := ""
	if len(ids) > 0 {
		last = ids[len(ids)-1]
	}
	writeCollection(w, "clusters", items, p.next(baseOf(r), resource, len(items), last))
	return nil
}

// templateOf returns the cluster's template, or nil when it is gone.
func (s *server) templateOf(ctx context.Context, c *store.Cluster) (*store.ClusterTemplate, error) {
	template, err := s.Store.ClusterTemplate(ctx, c.ClusterTemplateID)
	if store.IsNotFound(err) {
		return nil, nil
	}
	return template, err
}

func (s *server) showCluster(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	c, err := findCluster(ctx, s.Store, identity.FromContext(ctx), r.PathValue("cluster"))
	if err != nil {
		return err
	}
	groups, err := s.Store.Nodegroups(ctx, c.UUID, "", store.Page{})
	if err != nil {
		return err
	}
	template, err := s.templateOf(ctx, c)
	if err != nil {
		return err
	}
	detail := viewClusterDetail(baseOf(r), c, groups, template)
	detail.addFaults(groups)
	writeJSON(w, http.StatusOK, detail)
	return nil
}

// deleteCluster starts a deletion. A cluster that is being created stops being created; one
// that is being deleted stays so, and the answer is the same.
func (s *server) deleteCluster(w http.ResponseWriter, r *http.Request) error {
	caller := identity.FromContext(r.Context())
	err := s.Store.Tx(r.Context(), func(ctx context.Context, tx *store.Tx) error {
		c, err := findCluster(ctx, tx, caller, r.PathValue("cluster"))
		if err != nil {
			return err
		}
		if c.Status == store.DeleteInProgress {
			return nil
		}
		if err := tx.SetClusterStatus(ctx, c.UUID, store.DeleteInProgress, ""); err != nil {
			return err
		}
		if err := tx.SetNodegroupsStatus(ctx, c.UUID, store.DeleteInProgress, ""); err != nil {
			return err
		}
		if err := tx.InsertEvents(ctx, []*store.Event{clusterEvent(c, store.DeleteInProgress, "Cluster DELETE accepted", caller)}); err != nil {
			return err
		}
		return tx.Enqueue(ctx, &store.Operation{ClusterID: c.UUID, Kind: OperationDelete, Actor: caller.Actor(), Preempts: true})
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
