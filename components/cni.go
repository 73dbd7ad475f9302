package components

// cni is the pod network of a node: one bridge, addresses out of the node's own range, no
// translation on the node (the router has a route to each node's range and translates what
// leaves the cluster), hairpins for a pod that calls its own Service, and host ports. It is
// the whole border to another network: Calico will replace this file and add its units.
func cni(c Cluster, n Node) string {
	return `{
  "cniVersion": "1.0.0",
  "name": "slipway",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "cni0",
      "isDefaultGateway": true,
      "ipMasq": false,
      "hairpinMode": true,
      "ipam": {
        "type": "host-local",
        "ranges": [[{"subnet": "` + n.PodCIDR + `"}]],
        "dataDir": "/var/lib/cni/networks"
      }
    },
    {
      "type": "portmap",
      "capabilities": {"portMappings": true},
      "snat": true
    }
  ]
}
`
}
