package pki

import "fmt"

// Purpose says what an authority vouches for. Each cluster has one authority per purpose, so
// that a certificate of one purpose is worth nothing for another.
type Purpose string

// The purposes of authorities. System is not a cluster's: it vouches for nodes and the node API.
const (
	Kubernetes Purpose = "kubernetes"
	Etcd       Purpose = "etcd"
	FrontProxy Purpose = "front-proxy"
	System     Purpose = "system"
)

// Purposes returns the purposes that every cluster has an authority for.
func Purposes() []Purpose { return []Purpose{Kubernetes, Etcd, FrontProxy} }

// ParsePurpose returns the purpose that a Magnum ca_cert_type names. The empty type and
// "kubelet" mean kubernetes, as in Magnum; "front_proxy" is its other spelling of front-proxy.
func ParsePurpose(certType string) (Purpose, error) {
	switch certType {
	case "", "kubernetes", "kubelet":
		return Kubernetes, nil
	case "etcd":
		return Etcd, nil
	case "front-proxy", "front_proxy":
		return FrontProxy, nil
	}
	return "", fmt.Errorf("certificate type %q is unknown; use kubernetes, etcd or front-proxy", certType)
}
