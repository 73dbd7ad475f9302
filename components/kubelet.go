package components

import (
	"strings"
)

// kubelet runs the pods of a node. It needs the node's mounts, cgroups and devices, so it is
// root in the node's namespaces. Its certificates are made on the node and renewed by the
// agent, so its own rotation is off; there are no static pods.
func kubelet(c Cluster, n Node) Component {
	const name = "kubelet"
	labels := []string{"magnum.openstack.org/role=" + string(n.Role)}
	if n.Nodegroup != "" {
		labels = append(labels, "magnum.openstack.org/nodegroup="+n.Nodegroup)
	}
	// Its first attempt to register is to meet an API that answers.
	after, await := []string{unit("containerd")}, awaitAPI(c, n, file(name, "kubernetes-ca.crt"))
	if n.Role == RoleMaster {
		after, await = append(after, unit("kube-apiserver")), nil
	}
	return Component{
		Name: name, Description: "Kubernetes node agent",
		Image: name, Binary: "usr/bin/kubelet",
		After: after,
		Args: []string{
			"--config=" + file(name, "config.yaml"),
			"--kubeconfig=" + file(name, "kubeconfig"),
			"--hostname-override=" + n.Name,
			"--node-ip=" + n.Address,
			"--node-labels=" + strings.Join(labels, ","),
		},
		Env:          []string{hostPath},
		Certificates: []string{KubeletClient, KubeletServing},
		Files: []File{
			{"kubernetes-ca.crt", c.Authorities.Kubernetes},
			{"kubeconfig", kubeconfig(name, c.endpoint(n.Role), KubeletClient)},
			{"config.yaml", kubeletConfiguration(c, n)},
		},
		Directories: "kubelet",
		Ports:       []Port{{10250, "node", "the kubelet API"}, {10248, "loopback", "health"}},
		Service:     [][2]string{{"Delegate", "yes"}, {"KillMode", "process"}, {"CPUWeight", "200"}},
		Await:       await,
		Ready:       ready(loopbackURL("http", 10248, "/healthz"), ""),
		Live:        alive(loopbackURL("http", 10248, "/healthz"), ""),
	}
}

// hostPath is where components in the node's namespaces find the programs of the OS.
const hostPath = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"

// kubeletConfiguration is the KubeletConfiguration of a node. Reservations and eviction suit
// nodes from 2 GiB up. cgroupfs and failCgroupV1 let the same node run on cgroup v2 and on
// the v1 hybrid of a container on an older host.
func kubeletConfiguration(c Cluster, n Node) string {
	var b strings.Builder
	b.WriteString(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 0.0.0.0
authentication:
  anonymous:
    enabled: false
  webhook:
    enabled: true
  x509:
    clientCAFile: ` + file("kubelet", "kubernetes-ca.crt") + `
authorization:
  mode: Webhook
cgroupDriver: cgroupfs
clusterDNS:
  - ` + c.DNSServiceIP + `
clusterDomain: ` + c.DNSDomain + `
containerRuntimeEndpoint: unix://` + containerdSocket + `
enableServer: true
evictionHard:
  imagefs.available: 5%
  memory.available: 100Mi
  nodefs.available: 5%
  nodefs.inodesFree: 3%
failCgroupV1: false
failSwapOn: false
healthzBindAddress: 127.0.0.1
healthzPort: 10248
imageGCHighThresholdPercent: 85
imageGCLowThresholdPercent: 80
makeIPTablesUtilChains: false
port: 10250
readOnlyPort: 0
resolvConf: /etc/resolv.conf
rotateCertificates: false
serverTLSBootstrap: false
shutdownGracePeriod: 0s
staticPodPath: ""
tlsCertFile: ` + certificate(KubeletServing) + `
tlsMinVersion: VersionTLS12
tlsPrivateKeyFile: ` + key(KubeletServing) + `
`)
	if n.Role == RoleMaster {
		b.WriteString(`registerWithTaints:
  - key: node-role.kubernetes.io/control-plane
    effect: NoSchedule
`)
	}
	return b.String()
}
