package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"slipway.build/slipway/imagebuild/component"
	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/osimage"
)

// images are what is packed: one of our own module and one of another's.
func images() []string { return []string{"cni", "pause"} }

// pack makes everything anew from the inputs in dir and returns digests by name.
func pack(ctx context.Context, dir string) (map[string]string, error) {
	built, err := component.Build(ctx, component.Options{
		Sources: filepath.Join(dir, "sources"), Cache: filepath.Join(dir, "cache"), Names: images(), Forms: component.Forms(),
	})
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, b := range built {
		found["index of "+b.Image.Name] = b.Image.Index
		p := b.Image.Platforms[0]
		found["gzip layer of "+b.Image.Name] = p.Gzip.Layers[0].Digest
		found["zstd layer of "+b.Image.Name] = p.Layers[0].Digest
		found["SPDX of "+b.Image.Name] = p.Evidence.SPDX
		found["CycloneDX of "+b.Image.Name] = p.Evidence.CycloneDX
		found["provenance of "+b.Image.Name] = p.Evidence.Provenance
	}
	l, err := component.Compute(built)
	if err != nil {
		return nil, err
	}
	l.Issue(1, time.Unix(1_800_000_000, 0), component.LockLife)
	if found["lock, canonical"], err = l.Digest(); err != nil {
		return nil, err
	}
	text, err := l.YAML(component.Header)
	if err != nil {
		return nil, err
	}
	found["lock, as YAML"] = digestOf(text)
	layout := filepath.Join(dir, "layout")
	if err := component.WriteLayout(layout, built); err != nil {
		return nil, err
	}
	if err := component.AttachEvidence(ctx, layout, built); err != nil {
		return nil, err
	}
	if found["layout with evidence"], err = treeDigest(layout); err != nil {
		return nil, err
	}
	found["OS layer"], err = osLayer(dir, built)
	return found, err
}

// osLayer makes the layer of the node's OS, with the program of the pause image for the agent's.
func osLayer(dir string, built []component.Built) (string, error) {
	program := filepath.Join(dir, "program")
	if err := component.Extract(built, "pause", program); err != nil {
		return "", err
	}
	c := osimage.Contents{Agent: program, ImportTool: program, Exec: program, Verifier: program, Architecture: runtime.GOARCH}
	for name, to := range map[string]*[]byte{"lock": &c.Lock, "lock.sig": &c.LockSignature, "keys.pem": &c.TrustKeys} {
		var err error
		if *to, err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	layer, err := osimage.New(c)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	if _, err := layer.WriteTo(sum); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// treeDigest is over the names and contents of all files beneath a directory.
func treeDigest(dir string) (string, error) {
	sum := sha256.New()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		below, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		fmt.Fprintf(sum, "%s\x00", below)
		_, err = io.Copy(sum, f)
		return err
	})
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), err
}

// lockOf is the lock that is baked into the OS layer.
func lockOf(built []component.Built) (*lock.Lock, error) {
	l, err := component.Compute(built)
	if err != nil {
		return nil, err
	}
	l.Issue(1, time.Unix(1_800_000_000, 0), component.LockLife)
	return l, nil
}
