package components

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// Role is what a node is in its cluster.
type Role string

// The two roles of nodes.
const (
	RoleMaster Role = "master"
	RoleWorker Role = "worker"
)

// Peer is a master as the other masters know it.
type Peer struct {
	Name    string // host name and name of the etcd member
	Address string // IPv4 address on the cluster network
}

// Authorities holds the certificates (PEM, one or, while a CA is rotated, two) of the
// cluster's certificate authorities. Their keys never leave the control plane.
type Authorities struct {
	Kubernetes string
	Etcd       string
	FrontProxy string
}

// Cluster is what all nodes of a cluster have in common.
type Cluster struct {
	UUID string
	Name string
	// KubernetesVersion is the version of the node components, such as "v1.36.3"; the lock
	// must hold exactly that version of them.
	KubernetesVersion string
	Lock              *lock.Lock
	LockDigest        string   // sha256:… of the lock's canonical bytes
	Platform          string   // "linux/amd64" when empty
	Registries        []string // base URLs in the order in which they are tried

	Masters       []Peer // all of them, in a stable order
	APIAddress    string // address of the load balancer on the cluster network
	APIPort       int    // of the load balancer and of each API server; 6443 when 0
	APIFloatingIP string // public address of the API; empty when there is none

	PodCIDR      string   // "10.100.0.0/16" when empty
	ServiceCIDR  string   // "10.254.0.0/16" when empty
	DNSServiceIP string   // the tenth address of ServiceCIDR when empty
	DNSDomain    string   // "cluster.local" when empty
	UpstreamDNS  []string // name servers for all other names; the node's own when empty

	Authorities Authorities
	// EtcdBootstrapped is true as soon as the cluster's etcd has been healthy once. From then on
	// no member may start as the first of a new cluster.
	EtcdBootstrapped bool
	// Deployment is the id that the signal about the cluster's own objects carries.
	Deployment string
	// Verification says which images of pods are held against the lock; none when empty.
	Verification Verification
	// SecretVersion names the version of the secrets that the masters share; "1" when empty.
	SecretVersion string
}

// Node is one node, beside what its cluster says.
type Node struct {
	ID         string // UUID
	Name       string // host name and Kubernetes node name
	Role       Role
	Nodegroup  string // value of the label magnum.openstack.org/nodegroup; empty for none
	Address    string // IPv4 address on the cluster network
	PodCIDR    string // range of this node's pods, within the cluster's
	Deployment string // id that the node's own signals carry
	Generation uint64 // from 1
	// First is true for the one master that applies the cluster's objects.
	First bool
	// MemoryMiB is the node's memory; when 0 the limits suit a node with 4 GiB or more.
	MemoryMiB int
}

// ErrFacts is in the chain of every error about facts that make no plan.
var ErrFacts = errors.New("facts make no plan")

// withDefaults fills what may be left empty.
func (c Cluster) withDefaults() Cluster {
	set := func(s *string, value string) {
		if *s == "" {
			*s = value
		}
	}
	set(&c.Platform, "linux/amd64")
	set(&c.PodCIDR, "10.100.0.0/16")
	set(&c.ServiceCIDR, "10.254.0.0/16")
	set(&c.DNSDomain, "cluster.local")
	set(&c.SecretVersion, "1")
	if c.DNSServiceIP == "" {
		if a, err := c.serviceAddress(10); err == nil {
			c.DNSServiceIP = a.String()
		}
	}
	if c.APIPort == 0 {
		c.APIPort = 6443
	}
	return c
}

// serviceAddress returns the n-th address of the service range.
func (c Cluster) serviceAddress(n int) (netip.Addr, error) {
	p, err := netip.ParsePrefix(c.ServiceCIDR)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%w: service range: %w", ErrFacts, err)
	}
	a := p.Masked().Addr()
	for range n {
		a = a.Next()
	}
	if !p.Contains(a) {
		return netip.Addr{}, fmt.Errorf("%w: service range %s has no address %d", ErrFacts, p, n)
	}
	return a, nil
}

// minor returns "1.36" for "v1.36.3".
func (c Cluster) minor() string {
	parts := strings.Split(strings.TrimPrefix(c.KubernetesVersion, "v"), ".")
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// secret returns the name of a shared secret with its version.
func (c Cluster) secret(name string) string { return name + "@" + c.SecretVersion }

// endpoint is where a node reaches the API. A master asks its own API server: it needs
// nothing else to come up, and the load balancer knows an API server only once it is ready.
// A worker asks the load balancer, which outlives each single master.
func (c Cluster) endpoint(r Role) string {
	host := c.APIAddress
	if r == RoleMaster {
		host = "127.0.0.1"
	}
	return "https://" + host + ":" + strconv.Itoa(c.APIPort)
}

// check reports the first fact that is missing or contradicts another.
func check(c Cluster, n Node) error {
	bad := func(field, value, why string) error {
		return fmt.Errorf("%w: %s %q %s", ErrFacts, field, value, why)
	}
	for _, f := range []struct{ field, value string }{
		{"cluster UUID", c.UUID}, {"Kubernetes version", c.KubernetesVersion}, {"lock digest", c.LockDigest},
		{"kubernetes CA", c.Authorities.Kubernetes}, {"etcd CA", c.Authorities.Etcd}, {"front-proxy CA", c.Authorities.FrontProxy},
		{"node id", n.ID}, {"node name", n.Name}, {"node deployment", n.Deployment},
	} {
		if f.value == "" {
			return bad(f.field, f.value, "is empty")
		}
	}
	if c.Lock == nil {
		return bad("lock", "", "is missing")
	}
	if len(c.Registries) == 0 {
		return bad("registries", "", "are missing")
	}
	if n.Generation == 0 {
		return bad("generation", "0", "must be at least 1")
	}
	if n.Role != RoleMaster && n.Role != RoleWorker {
		return bad("role", string(n.Role), "is neither master nor worker")
	}
	addresses := []struct{ field, value string }{
		{"API address", c.APIAddress}, {"node address", n.Address}, {"DNS service address", c.DNSServiceIP},
	}
	if c.APIFloatingIP != "" {
		addresses = append(addresses, struct{ field, value string }{"API floating IP", c.APIFloatingIP})
	}
	for _, m := range c.Masters {
		addresses = append(addresses, struct{ field, value string }{"address of master " + m.Name, m.Address})
	}
	for _, s := range c.UpstreamDNS {
		addresses = append(addresses, struct{ field, value string }{"upstream name server", s})
	}
	for _, a := range addresses {
		if p, err := netip.ParseAddr(a.value); err != nil || !p.Is4() {
			return bad(a.field, a.value, "is no IPv4 address")
		}
	}
	if n.Role == RoleMaster && !slices.Contains(c.Masters, Peer{n.Name, n.Address}) {
		return bad("master", n.Name, "is not among the cluster's masters with address "+n.Address)
	}
	if n.First && n.Role != RoleMaster {
		return bad("first node", n.Name, "is no master")
	}
	if n.First && c.Deployment == "" {
		return bad("cluster deployment", "", "is empty")
	}
	pods, err := netip.ParsePrefix(c.PodCIDR)
	if err != nil {
		return bad("pod range", c.PodCIDR, "is no prefix")
	}
	own, err := netip.ParsePrefix(n.PodCIDR)
	if err != nil || own.Masked() != own || !pods.Contains(own.Addr()) || own.Bits() < pods.Bits() || own.Bits() > 29 {
		return bad("node's pod range", n.PodCIDR, "is no range of pods within "+c.PodCIDR)
	}
	services, err := netip.ParsePrefix(c.ServiceCIDR)
	if err != nil || services.Overlaps(pods) {
		return bad("service range", c.ServiceCIDR, "is no prefix or overlaps the pods' "+c.PodCIDR)
	}
	if a := netip.MustParseAddr(c.DNSServiceIP); !services.Contains(a) {
		return bad("DNS service address", c.DNSServiceIP, "is outside of "+c.ServiceCIDR)
	}
	return nil
}
