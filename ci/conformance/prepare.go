package conformance

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"slipway.build/slipway/ci/conformance/programs"
	"slipway.build/slipway/ci/conformance/testimages"
	"slipway.build/slipway/imagebuild/buildcache"
	"slipway.build/slipway/imagebuild/component"
	"slipway.build/slipway/imagebuild/debian"
)

// Lock is the lock of the tests' images in the tree.
const Lock = "ci/conformance/images.yaml"

// Prepared is what a run needs beside a cluster, all of it in the cache.
type Prepared struct {
	// Programs is the directory of e2e.test and ginkgo.
	Programs string
	// Layout is the OCI layout of the tests' images.
	Layout string
}

// Prepare compiles the tests and makes their images, or finds both in the cache. It needs
// neither a cluster nor root. Cold it takes two to five minutes.
func Prepare(ctx context.Context, o Options) (*Prepared, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	io, p, err := o.imageOptions(ctx)
	if err != nil {
		return nil, err
	}
	if io.Lock, err = testimages.LoadLock(filepath.Join(o.Tree, filepath.FromSlash(Lock))); err != nil {
		return nil, err
	}
	if io.Lock.Kubernetes != programs.Kubernetes {
		return nil, fmt.Errorf("%s is for the tests of Kubernetes %s, the programs are %s: run `go run ./ci/conformance/run -lock`", Lock, io.Lock.Kubernetes, programs.Kubernetes)
	}
	o.say("images", "makes the tests' images")
	if p.Layout, err = testimages.Build(ctx, io); err != nil {
		return nil, err
	}
	return p, nil
}

// UpdateLock rewrites the lock of the tests' images from what Debian's archive has today.
func UpdateLock(ctx context.Context, o Options) error {
	o, err := o.complete()
	if err != nil {
		return err
	}
	io, _, err := o.imageOptions(ctx)
	if err != nil {
		return err
	}
	l, err := testimages.Update(ctx, io, programs.Kubernetes)
	if err != nil {
		return err
	}
	return l.Write(filepath.Join(o.Tree, filepath.FromSlash(Lock)))
}

// imageOptions compiles every program and says where they are.
func (o Options) imageOptions(ctx context.Context) (testimages.Options, *Prepared, error) {
	var out testimages.Options
	dir, err := programs.Build(ctx, programs.Options{
		Sources: filepath.Join(o.Tree, "ci", "conformance", "sources"),
		Report:  func(text string) { o.say("programs", "%s", text) },
	})
	if err != nil {
		return out, nil, err
	}
	out.Dir = filepath.Join(buildcache.Dir(), "conformance")
	out.Debian = debian.Apt{Dir: filepath.Join(buildcache.Dir(), "debian")} // the component images' too
	built, err := component.Build(ctx, component.Options{
		Sources: filepath.Join(o.Tree, "imagebuild", "component", "sources"),
		Names:   []string{"etcd", "pause"},
	})
	if err != nil {
		return out, nil, err
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	out.Programs = testimages.Programs{
		Agnhost: file(programs.Agnhost), SampleAPIServer: file(programs.SampleAPIServer), NoNewPrivileges: file(programs.NoNewPrivileges),
		Certificate: file(programs.Certificate), Key: file(programs.Key),
	}
	if out.Programs.Etcd, err = extract(built, "etcd", out.Dir); err != nil {
		return out, nil, err
	}
	if out.Programs.Pause, err = extract(built, "pause", out.Dir); err != nil {
		return out, nil, err
	}
	return out, &Prepared{Programs: dir}, nil
}

// extract puts the program of a component's image into a file that is named after its contents,
// so that runs of several trees do not take each other's.
func extract(built []component.Built, name, dir string) (string, error) {
	i := slices.IndexFunc(built, func(b component.Built) bool { return b.Image.Name == name })
	if i < 0 || len(built[i].Image.Platforms) == 0 || len(built[i].Image.Platforms[0].Files) != 1 {
		return "", fmt.Errorf("the component images have no program %s", name)
	}
	to := filepath.Join(dir, name+"-"+built[i].Image.Platforms[0].Files[0].SHA256)
	return to, component.Extract(built, name, to)
}
