package serve

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway.build/slipway/components"
	"slipway.build/slipway/imagebuild/lock"
)

// kubernetesVersions are the versions of clusters that can be made, in order: those that the lock has
// in whole and whose images are in the layout that the registry serves. A lock may name more images
// than were built on one machine. While nothing is published, all of the lock's count: the images
// may come from elsewhere, or later.
func kubernetesVersions(l *lock.Lock, layout string) ([]string, error) {
	if all := components.KubernetesVersions(published(l, layout), ""); len(all) > 0 {
		return all, nil
	}
	if all := components.KubernetesVersions(l, ""); len(all) > 0 {
		return all, nil
	}
	return nil, errors.New("the lock holds no whole release of Kubernetes: no cluster can be made from it")
}

// published is the lock but for the platforms of images whose manifests an OCI layout does not have.
func published(l *lock.Lock, layout string) *lock.Lock {
	part := *l
	part.Images = slices.Clone(l.Images)
	for i := range part.Images {
		part.Images[i].Platforms = slices.DeleteFunc(slices.Clone(part.Images[i].Platforms), func(p lock.Platform) bool {
			_, err := os.Stat(filepath.Join(layout, "blobs", "sha256", strings.TrimPrefix(p.Manifest, "sha256:")))
			return err != nil
		})
	}
	return &part
}
