package provenance_test

import (
	"fmt"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/provenance"
	"slipway.build/slipway/imagebuild/sbom"
)

// The statement that a build has made is checked against the lock, here one that was changed since.
func ExampleVerify() {
	img := &lock.Image{Name: "etcd", Version: "v3.6.16", Repository: "slipway/etcd"}
	p := &lock.Platform{Platform: "linux/amd64", Manifest: "sha256:" + strings.Repeat("1", 64)}
	statement, err := provenance.New(img, p, "go1.26.7", &sbom.Inventory{})
	if err != nil {
		panic(err)
	}
	text, err := statement.Bytes()
	if err != nil {
		panic(err)
	}
	fmt.Println(provenance.Verify(text, img, p, "go1.26.7"))
	img.Version = "v3.6.17"
	fmt.Println(provenance.Verify(text, img, p, "go1.26.7") != nil)
	// Output:
	// <nil>
	// true
}
