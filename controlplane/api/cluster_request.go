package api

import (
	"context"
	"crypto/rand"
	"errors"
	"math/big"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"slipway.build/slipway/components"
	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/store"
)

// defaultCreateTimeout is the deadline of a creation that names none, in minutes.
const defaultCreateTimeout = 60

// minDeviceMapperSize is the smallest docker volume for devicemapper, in GB.
const minDeviceMapperSize = 3

// clusterFields are the fields of a create request, and those of a cluster that only we set.
func clusterFields() []field {
	fields := []field{
		{name: "name", minLength: 1, maxLength: 242, pattern: regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_.-]*$`)},
		{name: "cluster_template_id", required: true, minLength: 1},
		{name: "keypair", minLength: 1},
		{name: "master_count", kind: integerField, min: 1},
		{name: "node_count", kind: integerField},
		{name: "docker_volume_size", kind: integerField, min: 1},
		{name: "labels", kind: labelsField},
		{name: "merge_labels", kind: booleanField},
		{name: "master_flavor_id", minLength: 1},
		{name: "flavor_id", minLength: 1},
		{name: "fixed_network", minLength: 1},
		{name: "fixed_subnet", minLength: 1},
		{name: "create_timeout", kind: integerField},
		{name: "discovery_url"},
		{name: "floating_ip_enabled", kind: booleanField},
		{name: "master_lb_enabled", kind: booleanField},
	}
	for _, name := range []string{"uuid", "stack_id", "status", "status_reason", "health_status", "health_status_reason", "api_address",
		"coe_version", "container_version", "project_id", "user_id", "node_addresses", "master_addresses", "faults", "created_at", "updated_at", "links"} {
		fields = append(fields, field{name: name, readOnly: true})
	}
	return fields
}

// checkCluster checks what the types of the fields do not say, in Magnum's order.
func (s *server) checkCluster(ctx context.Context, c *store.Cluster, template *store.ClusterTemplate, masterCount, nodeCount int) error {
	if driver := template.DockerStorageDriver; c.DockerVolumeSize != nil && driver != nil && *driver == "devicemapper" && *c.DockerVolumeSize < minDeviceMapperSize {
		return badRequest("docker volume size %d GB is not valid, expecting minimum value %d GB for devicemapper storage driver.", *c.DockerVolumeSize, minDeviceMapperSize)
	}
	if masterCount%2 == 0 {
		return badRequest("master nodegroup size of %d is invalid, size cannot be an even number.", masterCount)
	}
	if nodeCount == 0 && versionOf(ctx) < versionZeroNodes {
		return badRequest("Resizing a nodegroup to zero is not supported in the provided microversion.")
	}
	if err := s.checkKubernetes(c.Labels, template.Labels); err != nil {
		return err
	}
	if err := checkVerification(c.Labels); err != nil {
		return err
	}
	for _, flavor := range []*string{c.FlavorID, c.MasterFlavorID} {
		if err := s.checkFlavor(ctx, flavor); err != nil {
			return err
		}
	}
	// Every cluster gets a network of its own; there is none to join yet.
	if c.FixedNetwork != nil {
		return badRequest("Unable to find fixed network %s.", shown(*c.FixedNetwork))
	}
	if c.FixedSubnet != nil {
		return badRequest("Unable to find fixed subnet %s.", shown(*c.FixedSubnet))
	}
	if err := s.checkKeypair(ctx, c.ProjectID, c.Keypair); err != nil {
		return err
	}
	if masterCount > 1 && !c.MasterLBEnabled {
		return badRequest("master_count must be 1 when master_lb_enabled is False")
	}
	return nil
}

// checkKubernetes refuses a cluster of a version that there are no images of. The version is the
// cluster's own label, or else its template's.
func (s *server) checkKubernetes(own, template map[string]string) error {
	version := own["kube_tag"]
	if version == "" {
		version = template["kube_tag"]
	}
	if s.Kubernetes == nil || slices.Contains(s.Kubernetes, version) {
		return nil
	}
	there := strings.Join(s.Kubernetes, ", ")
	if version == "" {
		return badRequest("Label kube_tag is missing. Name one of %s.", there)
	}
	return badRequest("Label kube_tag: there are no images of Kubernetes %s. Available are %s.", shown(version), there)
}

// checkVerification refuses what no node could be told about the images of its pods.
func checkVerification(labels map[string]string) error {
	if _, err := components.ParseVerification(labels["image_verifier"], labels["image_verifier_allow"]); err != nil {
		return badRequest("The cluster's %s.", err)
	}
	return nil
}

// checkFlavor finds a flavor in the cloud; nil is an unknown one.
func (s *server) checkFlavor(ctx context.Context, name *string) error {
	if name == nil {
		return badRequest("Unable to find flavor %s.", shown(nil))
	}
	switch _, err := s.Cloud.Flavor(ctx, *name); {
	case errors.Is(err, cloud.ErrNotFound):
		return badRequest("Unable to find flavor %s.", shown(*name))
	case err != nil:
		return unavailable("look for flavor "+shown(*name), err)
	}
	return nil
}

// checkKeypair finds a key pair of the project in the cloud; nil means that none is wanted.
func (s *server) checkKeypair(ctx context.Context, project string, name *string) error {
	if name == nil {
		return nil
	}
	switch _, err := s.Cloud.Keypair(ctx, project, *name); {
	case errors.Is(err, cloud.ErrNotFound):
		return notFound("Unable to find keypair %s.", shown(*name))
	case err != nil:
		return unavailable("look for keypair "+shown(*name), err)
	}
	return nil
}

// unavailable is the answer when the cloud could not be asked: the request may be repeated.
func unavailable(what string, err error) error {
	return &Error{Status: http.StatusServiceUnavailable, Detail: "The cloud could not be asked to " + what + ". Try again later.", cause: err}
}

// randomName is a name in Magnum's manner for a request that has none, such as "phi-7-cluster".
func randomName(suffix string) (string, error) {
	letters := []string{"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
		"omicron", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"}
	const numbers = 24
	n, err := rand.Int(rand.Reader, big.NewInt(int64(len(letters)*numbers)))
	if err != nil {
		return "", err
	}
	i := int(n.Int64())
	return letters[i%len(letters)] + "-" + strconv.Itoa(i/len(letters)+1) + "-" + suffix, nil
}
