package components

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Authority names one of a cluster's certificate authorities.
type Authority string

// The authorities of a cluster. They are apart so that a certificate for one thing opens no
// other: etcd believes no Kubernetes certificate, and the API server takes a user's name from
// nobody but the holder of the front-proxy certificate.
const (
	KubernetesCA Authority = "kubernetes"
	EtcdCA       Authority = "etcd"
	FrontProxyCA Authority = "front-proxy"
)

// The purposes for which nodes hold certificates. A purpose is also the certificate's name,
// and so its directory below /var/lib/slipway/pki.
const (
	EtcdServer             = "etcd-server"
	EtcdPeer               = "etcd-peer"
	EtcdClient             = "kube-apiserver-etcd-client"
	APIServer              = "kube-apiserver"
	APIServerKubeletClient = "kube-apiserver-kubelet-client"
	FrontProxyClient       = "front-proxy-client"
	ControllerManager      = "kube-controller-manager"
	Scheduler              = "kube-scheduler"
	ClusterAdmin           = "cluster-admin"
	KubeletClient          = "kubelet-client"
	KubeletServing         = "kubelet-serving"
	KubeProxy              = "kube-proxy"
)

// Lifetime is how long a node's certificates are good for; they are renewed well before.
const Lifetime = 365 * 24 * time.Hour

// Profile is what the control plane signs for a purpose. A node's request contributes its
// public key and nothing else.
type Profile struct {
	Purpose       string
	Authority     Authority
	CommonName    string
	Organizations []string
	DNSNames      []string
	Addresses     []netip.Addr
	Usages        []x509.ExtKeyUsage
	Lifetime      time.Duration
}

// ErrPurpose is in the chain of an error about a purpose that does not exist or that the
// node's role may not ask for. No retry can heal it.
var ErrPurpose = errors.New("certificate refused")

// purpose is one row of the table of purposes.
type purpose struct {
	roles     []Role
	authority Authority
	subject   func(c Cluster, n Node) (name string, organizations []string)
	usages    []x509.ExtKeyUsage
	names     func(c Cluster, n Node) ([]string, []string) // DNS names, addresses
}

// Purposes returns the purposes that a role may ask for, sorted.
func Purposes(r Role) []string {
	var out []string
	for name, p := range purposes() {
		if slices.Contains(p.roles, r) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Subject returns what is signed for a purpose of node n. Of the cluster it reads addresses
// and DNS domain only, of the node role, name and address. The error is ErrPurpose for a
// purpose that n's role does not have, or ErrFacts when an address is malformed.
func Subject(name string, c Cluster, n Node) (Profile, error) {
	c = c.withDefaults()
	p, ok := purposes()[name]
	switch {
	case !ok:
		return Profile{}, fmt.Errorf("%w: there is no purpose %q", ErrPurpose, name)
	case !slices.Contains(p.roles, n.Role):
		return Profile{}, fmt.Errorf("%w: a %s may not ask for %q", ErrPurpose, n.Role, name)
	}
	out := Profile{Purpose: name, Authority: p.authority, Usages: p.usages, Lifetime: Lifetime}
	out.CommonName, out.Organizations = p.subject(c, n)
	if p.names == nil {
		return out, nil
	}
	names, addresses := p.names(c, n)
	out.DNSNames = names
	for _, text := range addresses {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return Profile{}, fmt.Errorf("%w: address for %s of %s: %w", ErrFacts, name, n.Name, err)
		}
		if !slices.Contains(out.Addresses, a) {
			out.Addresses = append(out.Addresses, a)
		}
	}
	return out, nil
}

// purposes is the table. User and group names are Kubernetes' own: its bootstrap RBAC binds
// system:kube-controller-manager, system:kube-scheduler and system:kube-proxy, and its node
// authorizer knows system:node:<name> in system:nodes.
func purposes() map[string]purpose {
	fixed := func(name string, organizations ...string) func(Cluster, Node) (string, []string) {
		return func(Cluster, Node) (string, []string) { return name, organizations }
	}
	node := func(_ Cluster, n Node) (string, []string) {
		return "system:node:" + n.Name, []string{"system:nodes"}
	}
	own := func(_ Cluster, n Node) (string, []string) { return n.Name, nil }
	loopback := func(Cluster, Node) ([]string, []string) {
		return []string{"localhost"}, []string{"127.0.0.1"}
	}
	here := func(_ Cluster, n Node) ([]string, []string) {
		return []string{"localhost", n.Name}, []string{"127.0.0.1", n.Address}
	}
	onlyNode := func(_ Cluster, n Node) ([]string, []string) {
		return []string{n.Name}, []string{n.Address}
	}
	client := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	server := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	masters, all := []Role{RoleMaster}, []Role{RoleMaster, RoleWorker}

	return map[string]purpose{
		// etcd's own gateway dials its client port, so the server certificate is a client's too.
		EtcdServer:             {masters, EtcdCA, own, both, here},
		EtcdPeer:               {masters, EtcdCA, own, both, here},
		EtcdClient:             {masters, EtcdCA, fixed("kube-apiserver-etcd-client"), client, nil},
		APIServer:              {masters, KubernetesCA, fixed("kube-apiserver"), server, apiServerNames},
		APIServerKubeletClient: {masters, KubernetesCA, fixed("kube-apiserver-kubelet-client"), client, nil},
		FrontProxyClient:       {masters, FrontProxyCA, fixed("front-proxy-client"), client, nil},
		// They serve their health on loopback with the certificate that they are known by.
		ControllerManager: {masters, KubernetesCA, fixed("system:kube-controller-manager"), both, loopback},
		Scheduler:         {masters, KubernetesCA, fixed("system:kube-scheduler"), both, loopback},
		// The agent of a master does the cluster's typed tasks. It can read etcd's data and the
		// API server's memory anyway, so this gives it nothing that it could not take.
		ClusterAdmin:   {masters, KubernetesCA, fixed("slipway:cluster-admin", "system:masters"), client, nil},
		KubeletClient:  {all, KubernetesCA, node, client, nil},
		KubeletServing: {all, KubernetesCA, node, server, onlyNode},
		KubeProxy:      {all, KubernetesCA, fixed("system:kube-proxy"), client, nil},
	}
}

// apiServerNames lists every name and address by which the API is reached: from the node
// itself, through the load balancer and its floating IP, and from pods by the Service.
func apiServerNames(c Cluster, n Node) ([]string, []string) {
	names := []string{
		"localhost", n.Name, "kubernetes", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc." + c.DNSDomain,
	}
	addresses := []string{"127.0.0.1", n.Address, c.APIAddress}
	if c.APIFloatingIP != "" {
		addresses = append(addresses, c.APIFloatingIP)
	}
	if a, err := c.serviceAddress(1); err == nil {
		addresses = append(addresses, a.String())
	}
	return names, addresses
}
