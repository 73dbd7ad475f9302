package main

import (
	"fmt"
	"slices"
)

// pack makes the images that the registry serves. Every binary is a layer; all of them together
// are an image in gzip and in zstd form, before and after the change of one of them; then as one
// layer, as images with several binaries are usually built; then each as an image of its own, as
// Slipway publishes its components.
func pack(cache, lockFile string) (map[string]*image, error) {
	old, err := loadLayers(cache, lockFile)
	if err != nil {
		return nil, err
	}
	next := slices.Clone(old)
	if next[changedLayer], err = changed(old[changedLayer]); err != nil {
		return nil, err
	}
	images := map[string]*image{}
	add := func(repository, tag, media string, layers ...layer) {
		var img *image
		if img, err = assemble(repository, tag, media, layers...); err == nil {
			images[repository+":"+tag] = img
		}
	}
	add(together, "zstd-1", mediaZstd, old...)
	for version, layers := range [][]layer{old, next} {
		one, failed := flat(layers)
		if failed != nil {
			return nil, failed
		}
		add(together, fmt.Sprint("gzip-", version+1), mediaGzip, layers...)
		add(together, fmt.Sprint("flat-", version+1), mediaGzip, one)
		for i, l := range layers {
			add("slipway/"+binaries[i], fmt.Sprint("gzip-", version+1), mediaGzip, l)
		}
		if err != nil {
			return nil, err
		}
	}
	return images, err
}

// scenarios are what is timed.
func (p published) scenarios() []scenario {
	all := func(tag string) []*image { return []*image{p.Images[together+":"+tag]} }
	components := func(tag string) []*image {
		var images []*image
		for i, name := range binaries {
			if i != changedLayer {
				tag := "gzip-1"
				images = append(images, p.Images["slipway/"+name+":"+tag])
				continue
			}
			images = append(images, p.Images["slipway/"+name+":"+tag])
		}
		return images
	}
	same := func(name, about string, t task) scenario { return scenario{name, about, t, t} }
	return []scenario{
		same("pull", "one image, a layer for each of five binaries, gzip, into an empty store", task{nil, all("gzip-1")}),
		same("pull-zstd", "the same image with zstd layers, into an empty store", task{nil, all("zstd-1")}),
		{
			"pull-upgrade",
			"one of five binaries changed, gzip: peers have the binaries as the layer of an image, as the field builds such images; slipway has each as a component image, as it publishes them",
			task{components("gzip-1"), components("gzip-2")}, task{all("flat-1"), all("flat-2")},
		},
		same("pull-upgrade-same-bytes", "one of five binaries changed, gzip, for everybody an image with a layer for each binary", task{all("gzip-1"), all("gzip-2")}),
	}
}
