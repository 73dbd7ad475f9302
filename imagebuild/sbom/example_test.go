package sbom_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/sbom"
)

// An inventory is made of an image's entry in the lock and of its files.
func ExampleRead() {
	dir, err := os.MkdirTemp("", "slipt-sbom-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	file, content := dir+"/hello", []byte("hello\n")
	if err := os.WriteFile(file, content, 0o644); err != nil {
		panic(err)
	}
	img := &lock.Image{Name: "hello", Version: "v1.0.0", Repository: "slipway/hello"}
	p := &lock.Platform{
		Platform: "linux/amd64", Manifest: "sha256:" + strings.Repeat("1", 64),
		Files: []lock.Binary{{Path: "usr/share/hello", SHA256: fmt.Sprintf("%x", sha256.Sum256(content)), Size: 6}},
	}
	inventory, err := sbom.Read(img, p, func(string) (sbom.Source, error) { return os.Open(file) })
	if err != nil {
		panic(err)
	}
	text, err := inventory.SPDX()
	if err != nil {
		panic(err)
	}
	var document struct {
		Name  string
		Files []struct{ FileName string }
	}
	if err := json.Unmarshal(text, &document); err != nil {
		panic(err)
	}
	fmt.Println(document.Name, document.Files[0].FileName)
	// Output: slipway/hello v1.0.0 linux/amd64 ./usr/share/hello
}
