package heat

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"slipway.build/slipway/agent/heat/cache"
	"slipway.build/slipway/agent/heat/ledger"
	"slipway.build/slipway/agent/heat/metadata"
)

// view is the metadata as it was collected last.
type view struct {
	number      uint64              // grows with each change
	docs        []metadata.Document // to be merged, in this order
	deployments []metadata.Deployment
	command     string
	cacheDir    string  // where the metadata wants it kept, too; "" for nowhere
	faults      []error // of parts that cannot be used
}

// holds reports whether the deployment of this id is listed.
func (v view) holds(id string) bool {
	return slices.ContainsFunc(v.deployments, func(d metadata.Deployment) bool { return d.ID == id })
}

// publish computes the settings and the view. Until the transport that the settings name has
// brought something, both stay as they are: what another one brought last still holds.
func (g *gatherer) publish() (bool, error) {
	if !g.news {
		return false, nil
	}
	names := g.settings.Collectors
	heard := slices.ContainsFunc(transports[:], func(t string) bool {
		return slices.Contains(names, t) && g.found[t] != nil
	})
	if g.heard && !heard {
		return false, nil
	}
	next := g.look(names)
	g.heard = g.heard || heard
	settings := g.read(names)
	renewed := !reflect.DeepEqual(g.settings, settings)
	g.settings = settings
	next.command = g.settings.Command
	g.mu.Lock()
	same := g.view.number > 0 && next.command == g.view.command && slices.EqualFunc(next.docs, g.view.docs, equal)
	g.mu.Unlock()
	if same {
		g.news = renewed
		return false, nil
	}
	for _, c := range g.caches(g.settings.CacheDir) {
		if err := c.Keep(next.docs); err != nil {
			return false, err
		}
	}
	next.cacheDir = g.settings.CacheDir
	g.news = renewed // other settings may list other collectors: the next round looks again
	for _, fault := range next.faults {
		g.log.Error("a part of the metadata cannot be used", "error", fault)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	next.number = g.view.number + 1
	g.view = next
	close(g.changed)
	g.changed = make(chan struct{})
	return true, nil
}

// look makes a view of what these collectors have found.
func (g *gatherer) look(names []string) view {
	var next view
	seen := map[string]bool{}
	for _, name := range names {
		for _, doc := range g.found[name] {
			docs, errs := doc.Explode()
			next.faults = append(next.faults, errs...)
			for _, doc := range docs {
				if seen[doc.Name] {
					// Their files would be one.
					next.faults = append(next.faults, fmt.Errorf("metadata %s: two documents have this name", doc.Name))
					continue
				}
				seen[doc.Name] = true
				next.docs = append(next.docs, doc)
			}
		}
	}
	// What is wrong with a deployment was said when its document was exploded.
	next.deployments, _ = metadata.Deployments(next.docs)
	return next
}

func equal(a, b metadata.Document) bool { return a.Name == b.Name && bytes.Equal(a.Raw, b.Raw) }

// latest returns the view, and a channel that is closed when there is a newer one. The view's
// number is 0 as long as there is none.
func (g *gatherer) latest() (view, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.view, g.changed
}

// standing says whether a deployment is listed, and, if not, whether its resource is listed with
// a newer configuration.
func (g *gatherer) standing(e ledger.Entry) (listed, superseded bool) {
	v, _ := g.latest()
	if v.holds(e.ID) {
		return true, false
	}
	return false, e.Resource != "" && slices.ContainsFunc(v.deployments, func(d metadata.Deployment) bool {
		return d.Input("deploy_resource_name") == e.Resource && d.Input("deploy_stack_id") == e.Stack
	})
}

// caches are where documents are kept: where the next life looks for them, and, if the metadata
// names a directory, there for others to read.
func (g *gatherer) caches(dir string) []cache.Cache {
	all := []cache.Cache{g.cache}
	if dir != "" && dir != g.cache.Dir {
		all = append(all, cache.Cache{Dir: dir})
	}
	return all
}

// commit writes down that a view was acted on.
func (g *gatherer) commit(v view) error {
	var errs []error
	for _, c := range g.caches(v.cacheDir) {
		errs = append(errs, c.Commit(v.docs))
	}
	return errors.Join(errs...)
}

// committed reports whether a view was acted on.
func (g *gatherer) committed(v view) bool { return g.cache.Committed(v.docs) }

// paths are the files of a view for others to read.
func (g *gatherer) paths(v view) []string {
	all := g.caches(v.cacheDir)
	return all[len(all)-1].Paths(v.docs)
}
