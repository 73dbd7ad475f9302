package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"slipway.build/slipway/imagebuild/component"
	"slipway.build/slipway/imagebuild/sign"
)

// prepare collects the inputs of every packing: build modules, compiled programs, and a lock that
// is signed once, for a signature of ECDSA is another one each time.
func prepare(ctx context.Context, source, inputs string) error {
	sources := filepath.Join(inputs, "sources")
	for _, name := range images() {
		from := filepath.Join(source, "imagebuild", "component", "sources", name)
		if err := os.CopyFS(filepath.Join(sources, name), os.DirFS(from)); err != nil {
			return err
		}
	}
	cache := filepath.Join(inputs, "cache")
	built, err := component.Build(ctx, component.Options{Sources: sources, Cache: cache, Names: images()})
	if err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(cache, "packed")); err != nil { // every packing makes its own
		return err
	}
	l, err := lockOf(built)
	if err != nil {
		return err
	}
	text, err := l.YAML(component.Header)
	if err != nil {
		return err
	}
	keys, err := os.MkdirTemp("", "slipt-reproducible-keys-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(keys)
	key, err := sign.LocalKey(keys)
	if err != nil {
		return err
	}
	signature, err1 := key.Sign(text)
	public, err2 := key.PublicPEM()
	return errors.Join(err1, err2,
		os.WriteFile(filepath.Join(inputs, "lock"), text, 0o644),
		os.WriteFile(filepath.Join(inputs, "lock.sig"), signature, 0o644),
		os.WriteFile(filepath.Join(inputs, "keys.pem"), public, 0o644))
}

// copyProgram puts this program where other users may run it.
func copyProgram(to string) error {
	executable, err := os.Executable()
	if err != nil {
		return err
	}
	data, err := os.ReadFile(executable)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(to, data, 0o755), os.Chmod(to, 0o755))
}
