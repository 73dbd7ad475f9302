package components

import (
	"strings"

	"slipway.build/slipway/agent/plan"
)

const (
	etcdData       = "/var/lib/etcd"
	etcdClientPort = "2379"
	etcdPeerPort   = "2380"
	etcdHealthPort = 2381
)

// etcd is one member of the cluster's store. Members know each other from the beginning
// (initial-cluster is static), so all of them may start at once. Only a cluster that was
// never healthy is "new"; afterwards the recorded State keeps a member whose data is gone from
// beginning another one.
//
// Heartbeat (100 ms) and election timeout (1 s) are etcd's defaults. A first election takes a
// random time of up to one timeout, so a longer timeout is paid for by every new cluster: with
// 2 s a single member was seen without a leader for up to 2 s, of which its start took 60 ms.
func etcd(c Cluster, n Node) Component {
	url := func(address, port string) string { return "https://" + address + ":" + port }
	members := make([]string, len(c.Masters))
	for i, m := range c.Masters {
		members[i] = m.Name + "=" + url(m.Address, etcdPeerPort)
	}
	state := "new"
	if c.EtcdBootstrapped {
		state = "existing"
	}
	const name = "etcd"
	ca := file(name, "etcd-ca.crt")
	return Component{
		Name: name, Description: "etcd, the store of the Kubernetes API",
		Image: "etcd", Binary: "usr/bin/etcd", User: "slip-etcd",
		Args: []string{
			"--name=" + n.Name,
			"--data-dir=" + etcdData,
			"--listen-client-urls=" + url(n.Address, etcdClientPort) + "," + url("127.0.0.1", etcdClientPort),
			"--advertise-client-urls=" + url(n.Address, etcdClientPort),
			"--listen-peer-urls=" + url(n.Address, etcdPeerPort),
			"--initial-advertise-peer-urls=" + url(n.Address, etcdPeerPort),
			"--listen-metrics-urls=" + strings.TrimSuffix(loopbackURL("http", etcdHealthPort, ""), "/"),
			"--initial-cluster=" + strings.Join(members, ","),
			"--initial-cluster-state=" + state,
			"--initial-cluster-token=" + c.UUID,
			"--quota-backend-bytes=8589934592",
			"--client-cert-auth=true",
			"--trusted-ca-file=" + ca,
			"--cert-file=" + certificate(EtcdServer),
			"--key-file=" + key(EtcdServer),
			"--peer-client-cert-auth=true",
			"--peer-trusted-ca-file=" + ca,
			"--peer-cert-file=" + certificate(EtcdPeer),
			"--peer-key-file=" + key(EtcdPeer),
			"--tls-min-version=TLS1.3",
			"--log-outputs=stderr",
		},
		Certificates: []string{EtcdServer, EtcdPeer},
		Files:        []File{{"etcd-ca.crt", c.Authorities.Etcd}},
		Directories:  "etcd",
		Ports: []Port{
			{2379, "node", "clients"}, {2380, "node", "peers"}, {etcdHealthPort, "loopback", "health and metrics"},
		},
		Limits: Limits{MemoryMiB: n.memory(2048, 40), Tasks: 1024, CPUWeight: 400},
		State:  &plan.State{Dir: etcdData, Sentinel: "member"},
		Ready:  ready(loopbackURL("http", etcdHealthPort, "/readyz"), ""),
		Live:   alive(loopbackURL("http", etcdHealthPort, "/livez"), ""),
		Checks: []plan.Check{{Type: plan.CheckEtcd, Endpoint: loopbackURL("http", etcdHealthPort, "")}},
	}
}
