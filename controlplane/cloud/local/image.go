package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/compute"
	"slipway.build/slipway/controlplane/cloud/local/record"
)

const kindImage = "image"

// imageRecord is a node OS image that servers may boot from.
type imageRecord struct {
	Name   string
	Layers []string // directories, the topmost first
	Init   string
}

// RegisterImage makes a node OS image known under a name, or gives the name to another one. Servers
// that exist keep what they were made from.
func (c *Cloud) RegisterImage(ctx context.Context, name string, image compute.Image) error {
	for _, layer := range image.Layers {
		if st, err := os.Stat(layer); err != nil || !st.IsDir() || !filepath.IsAbs(layer) {
			return fmt.Errorf("register image %s: layer %s is no directory with an absolute path", name, layer)
		}
	}
	if len(image.Layers) == 0 || !filepath.IsAbs(image.Init) {
		return fmt.Errorf("register image %s: it needs layers and the absolute path of its first process", name)
	}
	v := imageRecord{Name: name, Layers: image.Layers, Init: image.Init}
	return c.store.Update(ctx, func(tx *record.Tx) error { return tx.Put(kindImage, name, v) })
}

func (c *Cloud) image(_ context.Context, name string) (compute.Image, error) {
	v, err := record.Get[imageRecord](c.store, kindImage, name)
	if errors.Is(err, record.ErrNotFound) {
		return compute.Image{}, fmt.Errorf("image %s: %w", name, cloud.ErrNotFound)
	}
	if err != nil {
		return compute.Image{}, err
	}
	return compute.Image{Layers: v.Layers, Init: v.Init}, nil
}
