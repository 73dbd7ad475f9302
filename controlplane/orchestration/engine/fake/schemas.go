package fake

import "slipway.build/slipway/controlplane/cloud"

func str(names ...string) []cloud.Property  { return props(cloud.String, false, names) }
func need(names ...string) []cloud.Property { return props(cloud.String, true, names) }
func list(names ...string) []cloud.Property { return props(cloud.List, false, names) }
func num(names ...string) []cloud.Property  { return props(cloud.Number, false, names) }

func props(k cloud.Kind, required bool, names []string) []cloud.Property {
	var out []cloud.Property
	for _, n := range names {
		out = append(out, cloud.Property{Name: n, Kind: k, Required: required})
	}
	return out
}

func schema(attributes []string, groups ...[]cloud.Property) cloud.Schema {
	s := cloud.Schema{Attributes: attributes}
	for _, g := range groups {
		s.Properties = append(s.Properties, g...)
	}
	return s
}

// schemas are the types that templates agree on with all clouds and the conductor, and a few
// of the fake's own.
func schemas() map[string]cloud.Schema {
	return map[string]cloud.Schema{
		"OS::Neutron::Net":             schema(nil, str("name")),
		"OS::Neutron::Subnet":          schema([]string{"cidr", "gateway_ip"}, need("network", "cidr"), str("name", "gateway_ip"), list("dns_nameservers")),
		"OS::Neutron::Router":          schema([]string{"external_ip"}, need("external_network"), str("name")),
		"OS::Neutron::RouterInterface": schema(nil, need("router", "subnet")),
		"OS::Neutron::ExtraRoute":      schema(nil, need("router", "destination", "nexthop")),
		"OS::Neutron::SecurityGroup":   schema(nil, str("name"), list("rules")),
		"OS::Neutron::Port":            schema([]string{"fixed_ip", "mac_address"}, need("network", "subnet"), str("name"), list("security_groups", "allowed_address_pairs")),
		"OS::Neutron::FloatingIP":      schema([]string{"floating_ip_address"}, need("external_network", "port")),
		"OS::Octavia::LoadBalancer":    schema([]string{"vip_address", "vip_port"}, need("subnet"), str("name"), list("security_groups")),
		"OS::Octavia::Listener":        schema(nil, need("loadbalancer", "protocol"), num("protocol_port")),
		"OS::Octavia::Pool":            schema(nil, need("listener", "protocol"), str("lb_algorithm", "backend_ca")),
		"OS::Octavia::HealthMonitor":   schema(nil, need("pool", "type"), str("url_path"), num("delay_ms", "timeout_ms", "max_retries")),
		"OS::Octavia::PoolMember":      schema(nil, need("pool", "address"), num("protocol_port")),
		"OS::Cinder::Volume":           schema(nil, num("size"), str("name")),
		"OS::Nova::Server":             schema([]string{"addresses"}, need("name", "image", "flavor", "port"), str("user_data", "key_name"), list("volumes")),
		"Slipway::Cluster::Authority":  schema([]string{"certificate"}, need("purpose")),
		"Slipway::Node::Registration":  schema([]string{"user_data", "pod_cidr", "node_id"}, need("name", "role", "nodegroup", "address", "pods_network_cidr")),
		"Slipway::Node::Deployment": schema(nil, need("node", "api_address", "pods_network_cidr", "service_cidr", "kube_tag"), str("api_public_address", "master_name_prefix", "image_verifier", "image_verifier_allow"),
			list("master_addresses", "authorities", "dns_nameserver")),
		"Slipway::Cluster::Deployment":      schema(nil, need("node")),
		"Magnum::FloatingIPAddressSwitcher": schema([]string{"ip_address"}, str("public_ip"), need("private_ip")),
		"Fake::Thing":                       schema([]string{"address", "list"}, str("name", "needs"), list("list"), []cloud.Property{{Name: "any"}}),
		"Fake::Waiter":                      schema([]string{"answer"}, str("name", "needs"), list("list"), []cloud.Property{{Name: "any"}}),
	}
}

// awaited are the types whose objects wait for something outside the cloud.
func awaited(typ string) bool {
	switch typ {
	case "Slipway::Node::Deployment", "Slipway::Cluster::Deployment", "Fake::Waiter":
		return true
	}
	return false
}
