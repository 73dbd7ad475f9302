package conformance

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
)

// The files that a submission to cncf/k8s-conformance has beside the log and the report, and
// our own summary.
const (
	productFile = "PRODUCT.yaml"
	readmeFile  = "README.md"
	summaryFile = "summary.json"
)

// writeProduct writes the description of the product and how to repeat the run. Whoever submits
// fills in what only they know: it is marked.
func (o Options) writeProduct(r *Result) error {
	minor := strings.Join(strings.SplitN(r.Kubernetes, ".", 3)[:2], ".")
	product := fmt.Sprintf(`vendor: TO BE FILLED IN
name: Slipway
version: TO BE FILLED IN
website_url: TO BE FILLED IN
repo_url: TO BE FILLED IN
documentation_url: TO BE FILLED IN
product_logo_url: TO BE FILLED IN
type: installer
description: Builds Kubernetes node images and launches clusters of %s from them.
contact_email_address: TO BE FILLED IN
k8s_version: %s
`, minor, r.Kubernetes)
	readme := fmt.Sprintf(`# Conformance of Slipway with Kubernetes %s

%d of %d conformance tests passed, %d failed, %d were skipped (suite: %s).

To repeat it, on a Debian 12 machine, as root, in a clone of the repository:

    make conformance

It builds the cluster's and the tests' images, makes a cluster of one master and two workers on
this machine, runs Kubernetes' own e2e.test against it, and leaves this directory in
bin/conformance. docs/conformance.md says what is behind each step.
`, r.Kubernetes, r.Passed, r.Wanted, r.Failed, r.Skipped, r.Suite)
	return errors.Join(
		renameio.WriteFile(filepath.Join(o.Output, productFile), []byte(product), 0o644),
		renameio.WriteFile(filepath.Join(o.Output, readmeFile), []byte(readme), 0o644))
}
