package conductor

import (
	"context"
	"fmt"

	"slipway.build/slipway/components"
	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/fault"
	"slipway.build/slipway/controlplane/pki"
	"slipway.build/slipway/controlplane/store"
)

// factEtcd is set as soon as one master of the cluster was healthy: from then on no member of
// its etcd starts as the first of a new cluster.
const factEtcd = "etcd-bootstrapped"

// factProperties are the properties of a deployment that describe its cluster. They stand in
// the template, so that a tenant sees in the stack what a node was told.
func factProperties() []cloud.Property {
	return []cloud.Property{
		{Name: "node", Kind: cloud.String, Required: true},
		{Name: "master_name_prefix", Kind: cloud.String},
		{Name: "master_addresses", Kind: cloud.List},
		{Name: "api_address", Kind: cloud.String, Required: true},
		{Name: "api_public_address", Kind: cloud.String},
		// The authorities are only named, so that they exist before the plan does.
		{Name: "authorities", Kind: cloud.List, Required: true},
		{Name: "pods_network_cidr", Kind: cloud.String, Required: true},
		{Name: "service_cidr", Kind: cloud.String, Required: true},
		{Name: "dns_nameserver", Kind: cloud.List},
		{Name: "kube_tag", Kind: cloud.String, Required: true},
		{Name: "image_verifier", Kind: cloud.String},
		{Name: "image_verifier_allow", Kind: cloud.String},
	}
}

// facts gathers what the node's plan is made of.
func (d deployment) facts(ctx context.Context, req cloud.Request) (components.Cluster, components.Node, error) {
	fail := func(err error) (components.Cluster, components.Node, error) {
		return components.Cluster{}, components.Node{}, err
	}
	node, err := d.store.Node(ctx, text(req, "node"))
	if err != nil {
		return fail(err)
	}
	cluster, err := d.store.Cluster(ctx, req.Cluster)
	if err != nil {
		return fail(err)
	}
	bootstrapped, err := d.store.Fact(ctx, req.Cluster, factEtcd)
	if err != nil && !store.IsNotFound(err) {
		return fail(err)
	}
	masters := peers(req)
	verification, err := components.ParseVerification(text(req, "image_verifier"), text(req, "image_verifier_allow"))
	if err != nil {
		return fail(fault.Terminalf("cluster %s: %w", cluster.Name, err))
	}
	c := components.Cluster{
		UUID: cluster.UUID, Name: cluster.Name, KubernetesVersion: text(req, "kube_tag"),
		Lock: d.trust.Locked, LockDigest: d.trust.Digest, Registries: d.trust.Registries,
		Masters:    masters,
		APIAddress: text(req, "api_address"), APIFloatingIP: floating(req),
		PodCIDR: text(req, "pods_network_cidr"), ServiceCIDR: text(req, "service_cidr"),
		UpstreamDNS:      list(req.Properties["dns_nameserver"]),
		EtcdBootstrapped: bootstrapped != "",
		Deployment:       clusterDeployment(cluster.UUID),
		SecretVersion:    secretVersion,
		Verification:     verification,
	}
	for purpose, certificate := range map[pki.Purpose]*string{
		pki.Kubernetes: &c.Authorities.Kubernetes, pki.Etcd: &c.Authorities.Etcd, pki.FrontProxy: &c.Authorities.FrontProxy,
	} {
		authority, err := d.authorities.Get(ctx, cluster.UUID, purpose)
		if err != nil {
			return fail(err)
		}
		*certificate = authority.PEM()
	}
	n := components.Node{
		ID: node.ID, Name: node.Name, Role: components.Role(node.Role), Address: node.Address,
		PodCIDR: node.PodCIDR, Deployment: req.Key, Generation: 1,
		First: len(masters) > 0 && node.Name == masters[0].Name,
	}
	return c, n, nil
}

// floating is the API's address for clients where it differs from that inside the cluster.
func floating(req cloud.Request) string {
	if public := text(req, "api_public_address"); public != text(req, "api_address") {
		return public
	}
	return ""
}

// peers names the masters: by their number in the order of their addresses.
func peers(req cloud.Request) []components.Peer {
	var out []components.Peer
	for i, address := range list(req.Properties["master_addresses"]) {
		out = append(out, components.Peer{Name: fmt.Sprintf("%s-%d", text(req, "master_name_prefix"), i), Address: address})
	}
	return out
}

func list(v any) []string {
	var out []string
	all, _ := v.([]any)
	for _, e := range all {
		out = append(out, fmt.Sprint(e))
	}
	return out
}
