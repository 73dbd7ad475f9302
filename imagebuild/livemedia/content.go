package livemedia

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"slipway.build/slipway/imagebuild/livemedia/initrd"
)

// Where Ignition and NetworkManager look in the initial RAM disk.
const (
	ConfigPath = "config.ign"
	NetworkDir = "etc/coreos-firstboot-network"
)

// Content is what is put into live media for the first boot.
type Content struct {
	// Config is an Ignition configuration. It is embedded as it is: check it first.
	Config []byte
	// Network are NetworkManager's keyfiles by file name, such as eth0.nmconnection.
	Network map[string][]byte
	// Other are further files of an area that something else has written, by path.
	Other map[string][]byte
}

// Empty reports whether there is nothing in it.
func (c Content) Empty() bool { return c.Config == nil && len(c.Network)+len(c.Other) == 0 }

// files names the contents as the initial RAM disk has them.
func (c Content) files() (initrd.Files, error) {
	if c.Empty() {
		return nil, errors.New("there is nothing to embed")
	}
	f := initrd.Files{}
	for p, data := range c.Other {
		f[p] = data
	}
	for name, data := range c.Network {
		if !strings.HasSuffix(name, ".nmconnection") || strings.ContainsAny(name, "/\x00") || name == ".nmconnection" {
			return nil, fmt.Errorf("network settings %q: want a file name that ends in .nmconnection", name)
		}
		f[path.Join(NetworkDir, name)] = data
	}
	if c.Config != nil {
		// An empty one would still turn off the live system's login on the console.
		if len(bytes.TrimSpace(c.Config)) == 0 {
			return nil, errors.New("the configuration is empty")
		}
		f[ConfigPath] = c.Config
	}
	return f, nil
}

func contentOf(f initrd.Files) Content {
	var c Content
	for p, data := range f {
		switch dir, name := path.Split(p); {
		case p == ConfigPath:
			c.Config = data
		case dir == NetworkDir+"/":
			put(&c.Network, name, data)
		default:
			put(&c.Other, p, data)
		}
	}
	return c
}

func put(m *map[string][]byte, name string, data []byte) {
	if *m == nil {
		*m = map[string][]byte{}
	}
	(*m)[name] = data
}

// encode returns what an area of the region's length then holds.
func (c Content) encode(region Region) ([]byte, int, error) {
	f, err := c.files()
	if err != nil {
		return nil, 0, err
	}
	b, err := initrd.Encode(f)
	if err != nil {
		return nil, 0, err
	}
	if int64(len(b)) > region.Length {
		return nil, 0, fmt.Errorf("%w: %d bytes compressed, %s has %d", ErrTooBig, len(b), region, region.Length)
	}
	return append(b, make([]byte, region.Length-int64(len(b)))...), len(b), nil
}

// Embed puts the content into the image's area and returns how many of its bytes it takes. An
// area that holds something already is only overwritten if force is set.
func Embed(ctx context.Context, iso string, c Content, force bool, to Target) (int, error) {
	used := 0
	err := change(ctx, iso, to, func(m *Media, in *source) ([]patch, error) {
		old, err := m.Ignition.read(in)
		if err != nil {
			return nil, err
		}
		if !zero(old) && !force {
			return nil, fmt.Errorf("%w: extract it first, or overwrite it by force", ErrEmbedded)
		}
		b, n, err := c.encode(m.Ignition)
		used = n
		return []patch{{m.Ignition, b}}, err
	})
	if err != nil {
		return 0, fmt.Errorf("embed into %s: %w", iso, err)
	}
	return used, nil
}

// Remove empties the image's area.
func Remove(ctx context.Context, iso string, to Target) error {
	err := change(ctx, iso, to, func(m *Media, _ *source) ([]patch, error) {
		return []patch{{m.Ignition, make([]byte, m.Ignition.Length)}}, nil
	})
	if err != nil {
		return fmt.Errorf("remove the configuration of %s: %w", iso, err)
	}
	return nil
}

func zero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }
