package component

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"slipway.build/slipway/imagebuild/buildcache"
	"slipway.build/slipway/imagebuild/lock"
)

// Files is an image of programs that exist already, to be packed as they are.
type Files struct {
	Name, Version, Platform string
	// Paths are the files on this machine by their paths in the image: "usr/bin/etcd".
	Paths map[string]string
}

// PackFiles packs files into an image through the cache of packed images. What is packed already
// is found by the sums of the files, all of which are read for that: neither names nor times
// are trusted. An empty cache directory means buildcache.Dir().
func PackFiles(ctx context.Context, cacheDir string, forms []Form, f Files) (Built, error) {
	if cacheDir == "" {
		cacheDir = buildcache.Dir()
	}
	packed, err := openCache(cacheDir, "packed")
	if err != nil {
		return Built{}, err
	}
	r := Recipe{Image: f.Name, Version: f.Version}
	var contents []content
	for _, path := range slices.Sorted(maps.Keys(f.Paths)) {
		if err := checkPath(path); err != nil {
			return Built{}, fmt.Errorf("pack %s: %w", f.Name, err)
		}
		sum, size, err := buildcache.Sum(f.Paths[path])
		if err != nil {
			return Built{}, fmt.Errorf("pack %s: %w", f.Name, err)
		}
		contents = append(contents, content{Path: path, SHA256: sum, Size: size, file: f.Paths[path]})
		r.Programs = append(r.Programs, Program{Path: path})
	}
	if err := sortContents(contents); err != nil {
		return Built{}, fmt.Errorf("pack %s: %w", f.Name, err)
	}
	j := &job{began: time.Now(), in: inputs{Recipe: r, Platform: f.Platform}, builder: &builder{
		packed: packed, forms: unique(forms), packing: make(chan struct{}, 1),
		progress: &reporter{estimate: newEstimate(nil, 1)},
	}}
	img := newImage(&r, f.Platform, contents)
	done, missing := j.find(img)
	if len(missing) > 0 {
		if done, err = j.pack(ctx, img); err != nil {
			return Built{}, fmt.Errorf("pack %s: %w", f.Name, err)
		}
	}
	p := j.part(img, nil, done)
	b := Built{Cached: len(missing) == 0, blobs: p.blobs, files: map[string]string{}, contents: map[string][]content{f.Platform: contents}}
	b.Image = lock.Image{Name: f.Name, Version: f.Version, Repository: r.Repository(), Platforms: []lock.Platform{p.platform}}
	b.Image.Index, err = indexDigest(&b.Image)
	return b, err
}
