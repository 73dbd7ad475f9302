package trust_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/layout/layouttest"
	"slipway.build/slipway/imagebuild/trust"
)

// A lock is believed by its signature, and a layout by the lock.
func Example() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	f := layouttest.In(dir) // a layout, a lock and a key; real ones come from files

	signed, err := trust.VerifyLock(f.Text, f.Signature, f.Keys)
	if err != nil {
		log.Fatal(err)
	}
	content, err := layout.Open(f.Dir) // or an archive that `slipway images bundle` wrote
	if err != nil {
		log.Fatal(err)
	}
	defer content.Close()
	report, err := trust.Verify(context.Background(), content, signed, trust.Options{})
	if err != nil {
		log.Fatal(err)
	}
	for _, finding := range report.Findings {
		fmt.Println(finding)
	}
	fmt.Printf("lock %d: %d images, %d files, proved: %v\n", report.Number, report.Images, report.Files, report.Proved())
	for _, link := range trust.Chain(signed, report, "a")[:3] {
		fmt.Println(link.Of, link.What, link.Verdict)
	}
	// Output:
	// lock 7: 4 images, 12 files, proved: true
	// lock signed by proved
	// lock lock proved
	// a@v1.0.0 index proved
}
