package component

import (
	"context"
	"fmt"
	"os"

	"slipway.build/slipway/imagebuild/debian"
	"slipway.build/slipway/imagebuild/lock"
)

// takenFormat is raised when other files are taken for the same recipe and packages.
const takenFormat = 1

// takenFiles is an entry of the cache of files out of Debian packages: what xz unpacks slowly is
// unpacked once. The files are named by their sums, which packing checks.
type takenFiles struct {
	Contents []content
	Packages []lock.Package
}

// taken returns the files of the packages, from the cache where they are there.
func (j *job) taken(ctx context.Context, arch debian.Architecture, s *System, pinned map[string]lock.Package) ([]content, []lock.Package, error) {
	c, err := openCache(j.debianCache, "taken")
	if err != nil {
		return nil, nil, err
	}
	key := hashKey(struct {
		Format int
		Arch   string
		Take   []string
		Pinned map[string]lock.Package
	}{takenFormat, arch.Name, s.Take, pinned})
	release, err := c.lock(ctx, key, func() { j.report(Event{Phase: Waiting}) })
	if err != nil {
		return nil, nil, err
	}
	defer release()
	final := c.entry(key)
	var found takenFiles
	if final.read(&found) && found.intact(final) {
		return found.Contents, found.Packages, nil
	}
	j.report(Event{Phase: Building, Detail: "takes files out of Debian packages"})
	if found.Contents, found.Packages, err = j.unpackPackages(ctx, arch, s, pinned); err != nil {
		return nil, nil, err
	}
	work, err := final.scratch()
	if err != nil {
		return nil, nil, err
	}
	defer work.discard()
	for _, f := range found.Contents {
		if f.Target != "" {
			continue
		}
		if err := os.WriteFile(work.file(f.SHA256), f.text, 0o444); err != nil {
			return nil, nil, fmt.Errorf("keep %s: %w", f.Path, err)
		}
	}
	return found.Contents, found.Packages, final.store(found, work)
}

// intact says whether every file is what its name says, and lets the contents refer to them.
func (t *takenFiles) intact(e entry) bool {
	for i := range t.Contents {
		f := &t.Contents[i]
		if f.Target != "" {
			continue
		}
		f.file = e.file(f.SHA256)
		if !hasDigest(f.file, "sha256:"+f.SHA256) {
			return false
		}
	}
	return len(t.Contents) > 0
}
