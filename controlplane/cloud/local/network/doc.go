// Package network is the local cloud's Neutron: networks, subnets, routers, security groups,
// ports and floating IPs on this machine.
//
// Every network is a network namespace of its own, <prefix>-net-<8hex>, that holds a bridge br0
// with the subnets' gateway addresses and, when a router is connected, a link ext into the
// host's bridge <prefix>-ext, which is the external network. So networks of different clusters
// may use the same addresses. What a namespace has to contain (addresses, links, routes and one
// nftables ruleset) follows from the records alone; every Create and Delete changes a record and
// then lets the namespace converge. Therefore each step may be repeated, and a namespace that is
// gone, as after a reboot, is made again by Restore.
//
// Bridged frames reach the inet hooks through br_netfilter, whose switches are per namespace;
// security groups are a map from destination address to the chain of the port that has it.
package network
