package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"slipway.build/slipway/agent/fault"
)

// kinds of flips, in the shares in which they take turns: out of twenty.
var kinds = []string{
	"index", "index", "manifest", "manifest", "configuration", "configuration",
	"layer", "layer", "layer", "layer", "layer",
	"wire", "wire", "wire", "cut on the wire", "after a broken connection",
	"at rest", "at rest", "at rest", "at rest",
}

// worker has registries and nodes of its own.
type worker struct {
	random  *rand.Rand
	images  []*image
	storage *registry // whose storage is changed
	wire    *wire     // which changes what passes
	servers []*httptest.Server
	fresh   *node // whose store is empty
	filled  *node // whose store has all images
}

func newWorker(dir, starter string, images []*image, random *rand.Rand) (*worker, error) {
	w := &worker{random: random, images: images, storage: &registry{images: images}}
	right := w.serve(&registry{images: images})
	w.serve(w.storage)
	w.wire = &wire{upstream: right, client: &http.Client{}}
	w.serve(w.wire)
	for _, sub := range []string{"fresh", "filled"} {
		if err := os.MkdirAll(filepath.Join(dir, sub, "images"), 0o755); err != nil {
			w.close()
			return nil, err
		}
	}
	w.fresh, w.filled = newNode(filepath.Join(dir, "fresh"), starter), newNode(filepath.Join(dir, "filled"), starter)
	return w, nil
}

func (w *worker) serve(h http.Handler) string {
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // connections are broken on purpose
	server.Start()
	w.servers = append(w.servers, server)
	return server.URL
}

func (w *worker) close() {
	for _, s := range w.servers {
		s.Close()
	}
}

// work does the flips whose turn it is for worker number i. Before and after them, what is right
// is pulled and starts: a node that refuses everything would prove nothing.
func (w *worker) work(ctx context.Context, i, flips int, c *counts) error {
	if err := w.control(ctx); err != nil {
		return err
	}
	for n := i; n < flips; n += workers {
		img := w.images[w.random.IntN(len(w.images)-1)]
		if n/len(kinds)%realShare == 0 {
			img = w.images[len(w.images)-1]
		}
		kind := kinds[n%len(kinds)]
		o, err := w.flip(ctx, kind, img)
		if err != nil {
			return fmt.Errorf("flip %d (%s of %s): %w", n, kind, img.name, err)
		}
		c.add(kind, o)
	}
	return w.control(ctx)
}

// control pulls and starts everything unchanged, and leaves one store full and the other empty.
func (w *worker) control(ctx context.Context) error {
	w.storage.set(change{})
	w.wire.set(change{})
	for _, img := range w.images {
		for _, try := range []struct {
			node *node
			url  string
		}{{w.filled, w.servers[1].URL}, {w.fresh, w.servers[2].URL}} {
			if err := try.node.pull(ctx, try.url, img); err != nil {
				return fmt.Errorf("what is right is refused: %w", err)
			}
			if started, _, err := try.node.start(ctx, img); !started {
				return fmt.Errorf("what is right does not start: %s: %w", img.name, err)
			}
		}
	}
	return w.fresh.empty()
}

func (w *worker) flip(ctx context.Context, kind string, img *image) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, caseLimit)
	defer cancel()
	c := change{mask: byte(1 + w.random.IntN(255))}
	target, url := w.storage, w.servers[1].URL
	switch kind {
	case "index":
		c.digest = img.index
	case "manifest":
		c.digest = img.locked.Manifest
	case "configuration":
		c.digest = img.locked.Config
	case "layer":
		c.digest = w.layer(img)
	case "at rest":
		return w.atRest(ctx, img, c.mask)
	default:
		target, url = &w.wire.registry, w.servers[2].URL
		c.digest = w.layer(img)
		if kind != "after a broken connection" && w.random.IntN(3) == 0 {
			c.digest = []string{img.index, img.locked.Manifest, img.locked.Config}[w.random.IntN(3)]
		}
		c.cut = kind == "cut on the wire"
	}
	size := int64(len(img.raw(c.digest)))
	c.offset = w.random.Int64N(size)
	if kind == "after a broken connection" {
		c.breakAt = 1 + w.random.Int64N(size-1)
		c.offset = c.breakAt + w.random.Int64N(size-c.breakAt)
	}
	target.set(c)
	err := w.fresh.pull(ctx, url, img)
	if ctx.Err() != nil {
		return outcome{}, fmt.Errorf("neither refused nor pulled: %w", err)
	}
	o := outcome{applied: target.wasApplied(), refused: fault.IsTerminal(err) && strings.Contains(err.Error(), "expected ")}
	o.said = fmt.Sprint(err)
	return w.after(ctx, img, o)
}

func (w *worker) layer(img *image) string {
	return img.locked.Layers[w.random.IntN(len(img.locked.Layers))].Digest
}

// after counts what a pull has left, and tries to start it.
func (w *worker) after(ctx context.Context, img *image, o outcome) (outcome, error) {
	var err error
	if o.left, err = w.fresh.left(); err != nil {
		return o, err
	}
	started, refused, err := w.fresh.start(ctx, img)
	if err != nil {
		return o, err
	}
	o.started = started
	o.refused = o.refused && refused
	return o, w.fresh.empty()
}

// atRest flips a byte of a stored file, has the unit started, and flips it back.
func (w *worker) atRest(ctx context.Context, img *image, mask byte) (outcome, error) {
	i := w.random.IntN(len(img.locked.Files))
	offset := w.random.Int64N(img.locked.Files[i].Size)
	path := w.filled.path(img, i)
	before, err := flipByte(path, offset, mask)
	if err != nil {
		return outcome{}, err
	}
	started, refused, err := w.filled.start(ctx, img)
	if err != nil {
		return outcome{}, err
	}
	during, err := flipByte(path, offset, mask)
	return outcome{applied: before != during, refused: refused, started: started}, err
}

// flipByte changes a byte of a file and returns what it was.
func flipByte(path string, offset int64, mask byte) (byte, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	var one [1]byte
	if _, err := file.ReadAt(one[:], offset); err != nil {
		return 0, err
	}
	_, err = file.WriteAt([]byte{one[0] ^ mask}, offset)
	return one[0], err
}
