// Oras lists what refers to an image with the library of the oras command, in a registry or in an
// OCI layout, and fetches each. It prints a type and a digest on each line.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"slices"

	"github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
)

func main() {
	dir := flag.String("layout", "", "OCI layout")
	repository := flag.String("repository", "", "registry/repository")
	reference := flag.String("reference", "", "tag, or in a layout repository:tag")
	kind := flag.String("type", "", "artifact type; empty: all")
	flag.Parse()
	lines, err := list(context.Background(), *dir, *repository, *reference, *kind)
	if err != nil {
		log.Fatal(err)
	}
	slices.Sort(lines)
	for _, l := range lines {
		fmt.Println(l)
	}
}

func list(ctx context.Context, dir, repository, reference, kind string) ([]string, error) {
	var store oras.ReadOnlyGraphTarget
	if dir != "" {
		s, err := oci.New(dir)
		if err != nil {
			return nil, err
		}
		store = s
	} else {
		r, err := remote.NewRepository(repository)
		if err != nil {
			return nil, err
		}
		r.PlainHTTP = true
		store = r
	}
	subject, err := store.Resolve(ctx, reference)
	if err != nil {
		return nil, err
	}
	all, err := registry.Referrers(ctx, store, subject, kind)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, d := range all {
		if err := fetch(ctx, store, d); err != nil {
			return nil, err
		}
		lines = append(lines, fmt.Sprintf("%s %s", d.ArtifactType, d.Digest))
	}
	return lines, nil
}

// fetch reads an artifact's manifest and everything that it names; each is compared with its digest.
func fetch(ctx context.Context, store oras.ReadOnlyGraphTarget, d v1.Descriptor) error {
	next, err := content.Successors(ctx, store, d)
	if err != nil {
		return err
	}
	for _, n := range next {
		if n.MediaType == v1.MediaTypeImageIndex {
			continue
		}
		if _, err := content.FetchAll(ctx, store, n); err != nil {
			return err
		}
	}
	return nil
}
