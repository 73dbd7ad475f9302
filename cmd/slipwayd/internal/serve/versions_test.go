package serve

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway.build/slipway/imagebuild/lock"
)

func TestClustersAreOfVersionsWhoseImagesArePublished(t *testing.T) {
	l, layout := &lock.Lock{}, t.TempDir()
	blobs := filepath.Join(layout, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		t.Fatal(err)
	}
	add := func(version string, publish bool, names ...string) {
		for _, name := range names {
			digest := strings.ReplaceAll(name+version, ".", "-")
			l.Images = append(l.Images, lock.Image{Name: name, Version: version, Platforms: []lock.Platform{{Platform: "linux/amd64", Manifest: "sha256:" + digest}}})
			if !publish {
				continue
			}
			if err := os.WriteFile(filepath.Join(blobs, digest), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	programs := []string{"kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubelet"}
	add("v1.36.10", false, programs...)
	add("v1.36.9", false, programs...)
	all, err := kubernetesVersions(l, layout)
	if err != nil || !slices.Equal(all, []string{"v1.36.9", "v1.36.10"}) {
		t.Errorf("nothing is published: %v, %v", all, err)
	}
	add("v1.36.3", true, programs...)
	add("v1.36.4", true, programs[1:]...)
	add("v1.36.4", false, programs[0])
	if all, err = kubernetesVersions(l, layout); err != nil || !slices.Equal(all, []string{"v1.36.3"}) {
		t.Errorf("one is published whole: %v, %v", all, err)
	}
	if _, err := kubernetesVersions(&lock.Lock{Images: l.Images[:3]}, layout); err == nil {
		t.Error("a lock without a whole release was taken")
	}
}
