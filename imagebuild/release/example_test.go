package release_test

import (
	"fmt"
	"time"

	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/release"
)

// A lock is held against all rules; what is found says what to do about it.
func ExampleCheck() {
	l, err := lock.Parse("images.yaml", []byte(`
schema: slipway.build/images/v2
number: 4
issued: "2026-11-21T17:00:00Z"
expires: "2026-12-21T17:00:00Z"
toolchain: go1.26.7
images:
  - name: cluster-autoscaler
    version: v1.36.1
    repository: upstream/cluster-autoscaler
    source:
      reference: registry.example/cluster-autoscaler:v1.36.1
    kubernetes: ["1.36"]
    unresolved: no network here
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := release.Check(release.Subject{
		Lock:      l,
		Now:       time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		Signature: release.ReadSignature(nil, "images.yaml.sig", "trusted.pem"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, finding := range report.Findings {
		fmt.Println(finding)
	}
	// Output:
	// signed: the lock: signature: there is no signature images.yaml.sig; sign it where it is published (slipway images lock sign), or name the signature and its key
	// expired: the lock: expires: it ended at 2026-12-21T17:00:00Z; issue it anew: slipway images lock --renew
	// unresolved: cluster-autoscaler@v1.36.1: unresolved: no network here; on a machine that reaches its registry: slipway images lock update cluster-autoscaler@v1.36.1 --write
}
