package drift

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/secrets"
	"slipway.build/slipway/agent/trust"
)

// next returns what is to be guarded now, nil when it is what is guarded already.
func (g *Guard) next() (*armed, error) {
	number, err := g.Generations.CurrentNumber()
	if err != nil {
		return nil, err
	}
	entries, err := g.Journal.Entries()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(entries, func(e journal.Entry) bool { return e.Generation == number })
	if number == 0 || i < 0 || entries[i].Step != journal.Confirmed {
		return nil, errNotConfirmed
	}
	if g.armed != nil && g.armed.number == number && g.armed.digest == entries[i].PlanDigest {
		return nil, nil
	}
	a := &armed{number: number, digest: entries[i].PlanDigest, dirs: map[string]bool{}, proven: map[string]print{}}
	delivery, err := g.Generations.Delivery(number)
	if err != nil {
		return a, err
	}
	checked, items, err := g.expected(a, delivery)
	if err != nil {
		return a, err
	}
	if a.copy, err = pack(delivery); err != nil {
		return a, err
	}
	g.list(a, checked, items)
	return a, nil
}

// expected proves a delivery and lists what follows from it.
func (g *Guard) expected(a *armed, delivery protocol.Delivery) (*trust.Checked, []generation.Item, error) {
	checked, err := g.Trust.Recheck(delivery, a.digest)
	if err != nil {
		return nil, nil, err
	}
	filled, err := g.Journal.Filled()
	if err != nil {
		return nil, nil, err
	}
	items, err := g.Generations.Expected(checked, delivery, filled)
	return checked, items, err
}

// source returns the guarded generation's plan and everything in it, proven again: from its
// directory, or, when that was changed, from our own copy.
func (g *Guard) source() (*trust.Checked, map[string]generation.Item, error) {
	delivery, err := g.Generations.Delivery(g.armed.number)
	var checked *trust.Checked
	var items []generation.Item
	if err == nil {
		checked, items, err = g.expected(g.armed, delivery)
	}
	if err != nil {
		if delivery, err = unpack(g.armed.copy); err == nil {
			checked, items, err = g.expected(g.armed, delivery)
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("what to repair from cannot be proven: %w", err)
	}
	byPath := make(map[string]generation.Item, len(items))
	for _, item := range items {
		byPath[filepath.Join(g.Generations.Dir(g.armed.number), item.Path)] = item
	}
	return checked, byPath, nil
}

// list notes what is to be looked at.
func (g *Guard) list(a *armed, checked *trust.Checked, items []generation.Item) {
	a.drift = checked.Plan.Drift
	base := g.Generations.Dir(a.number)
	a.dirs[base] = true
	for _, item := range items {
		w := wantOf(base, item)
		w.owner = os.Geteuid() // root, but for tests
		a.add(w)
		switch {
		case item.IsLink():
			kept := *w
			kept.path = w.store
			a.add(&kept)
			a.dirs[filepath.Dir(w.path)], a.dirs[filepath.Dir(w.store)] = true, true
		case !item.IsDir() && w.size > 0, item.IsDir() && w.class != execs:
			a.dirs[filepath.Dir(w.path)] = true
		}
		if item.IsDir() && w.class != execs {
			a.dirs[w.path] = true
		}
	}
	for _, unit := range checked.Plan.Units {
		a.units = append(a.units, unit.Name)
	}
	for _, certificate := range checked.Plan.Certificates {
		dir := filepath.Join(g.PKI, certificate.Name)
		g.key(a, filepath.Join(dir, "tls.key"), 0o400, certificate.Owner)
		g.key(a, filepath.Join(dir, "tls.crt"), 0o444, certificate.Owner)
	}
	for _, secret := range checked.Plan.Secrets {
		g.key(a, filepath.Join(g.Secrets, secrets.File(secret)), 0o400, secret.Owner)
	}
}

func (a *armed) add(w *want) {
	if policyOf(a.drift, w.class) != plan.DriftIgnore {
		a.wants = append(a.wants, w)
	}
}

// key adds a file whose mode and owner count.
func (g *Guard) key(a *armed, path string, mode uint32, owner string) {
	uid, err := g.Owner(owner)
	if err != nil {
		g.Log.Warn("a key's owner is not known, so it is not guarded", "path", path, "error", err)
		return
	}
	a.add(&want{path: path, class: keys, mode: fileMode(mode), owner: uid, opaque: true})
	a.dirs[filepath.Dir(path)] = true
}

func pack(delivery protocol.Delivery) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if err := errors.Join(json.NewEncoder(w).Encode(delivery), w.Close()); err != nil {
		return nil, err
	}
	return bytes.Clone(out.Bytes()), nil
}

func unpack(packed []byte) (protocol.Delivery, error) {
	var delivery protocol.Delivery
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err == nil {
		err = json.NewDecoder(r).Decode(&delivery)
	}
	return delivery, err
}
