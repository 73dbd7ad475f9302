package kubeconfig

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"slipway.build/slipway/cmd/slipway/internal/apiclient"
)

// The identity that a cluster's administrator certificate carries. RBAC binds the group to
// cluster-admin in every cluster.
const (
	User  = "admin"
	Group = "system:masters"
)

// KeyKind is the kind of private key to make.
type KeyKind string

// The kinds of keys: P-256 by default, RSA 2048 for clients that know nothing newer.
const (
	P256 KeyKind = "p256"
	RSA  KeyKind = "rsa"
)

// Authority is what signs: the Magnum API's certificates.
type Authority interface {
	CACertificate(ctx context.Context, clusterUUID string) (string, error)
	SignCertificate(ctx context.Context, clusterUUID, csr string) (string, error)
}

// New makes a key, has authority certify it for cluster and returns the kubeconfig as YAML.
// It fails when the cluster has no API address yet and when the certificate that comes back
// is not one for the key by the CA that the authority names.
func New(ctx context.Context, authority Authority, cluster *apiclient.Cluster, kind KeyKind) ([]byte, error) {
	if cluster.APIAddress == "" {
		return nil, fmt.Errorf("cluster %s has no API address yet; its status is %s", cluster.Name, cluster.Status)
	}
	key, err := newKey(kind)
	if err != nil {
		return nil, err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: User, Organization: []string{Group}},
	}, key)
	if err != nil {
		return nil, fmt.Errorf("make the certificate request: %w", err)
	}
	ca, err := authority.CACertificate(ctx, cluster.UUID)
	if err != nil {
		return nil, fmt.Errorf("get the CA of cluster %s: %w", cluster.Name, err)
	}
	cert, err := authority.SignCertificate(ctx, cluster.UUID, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})))
	if err != nil {
		return nil, fmt.Errorf("have cluster %s sign the certificate: %w", cluster.Name, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the key: %w", err)
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := check(ca, cert, keyPEM); err != nil {
		return nil, fmt.Errorf("cluster %s: %w", cluster.Name, err)
	}
	return render(cluster.Name, server(cluster.APIAddress), []byte(ca), []byte(cert), keyPEM)
}

func newKey(kind KeyKind) (crypto.Signer, error) {
	switch kind {
	case P256, "":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RSA:
		return rsa.GenerateKey(rand.Reader, 2048)
	default:
		return nil, fmt.Errorf("key kind %q: want %s or %s", kind, P256, RSA)
	}
}

// check refuses a certificate that is not for the key or that the CA has not signed for
// clients: it would only fail later, and with a worse message.
func check(ca, cert string, key []byte) error {
	pair, err := tls.X509KeyPair([]byte(cert), key)
	if err != nil {
		return fmt.Errorf("the signed certificate does not fit the key: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(ca)) {
		return errors.New("the CA certificate cannot be read")
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return fmt.Errorf("the signed certificate: %w", err)
	}
	_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return fmt.Errorf("the signed certificate does not verify under the cluster's CA: %w", err)
	}
	return nil
}

// server completes an address that lacks its scheme.
func server(address string) string {
	if strings.Contains(address, "://") {
		return address
	}
	return "https://" + address
}

// The parts of a kubeconfig that are written, in the order in which kubectl writes them.
type (
	config struct {
		APIVersion     string         `json:"apiVersion"`
		Clusters       []namedCluster `json:"clusters"`
		Contexts       []namedContext `json:"contexts"`
		CurrentContext string         `json:"current-context"`
		Kind           string         `json:"kind"`
		Users          []namedUser    `json:"users"`
	}
	namedCluster struct {
		Cluster struct {
			CA     []byte `json:"certificate-authority-data"`
			Server string `json:"server"`
		} `json:"cluster"`
		Name string `json:"name"`
	}
	namedContext struct {
		Context struct {
			Cluster string `json:"cluster"`
			User    string `json:"user"`
		} `json:"context"`
		Name string `json:"name"`
	}
	namedUser struct {
		Name string `json:"name"`
		User struct {
			Certificate []byte `json:"client-certificate-data"`
			Key         []byte `json:"client-key-data"`
		} `json:"user"`
	}
)

func render(name, server string, ca, cert, key []byte) ([]byte, error) {
	var c namedCluster
	c.Name, c.Cluster.Server, c.Cluster.CA = name, server, ca
	var u namedUser
	u.Name, u.User.Certificate, u.User.Key = name+"-"+User, cert, key
	var x namedContext
	x.Name, x.Context.Cluster, x.Context.User = name, name, u.Name
	return yaml.Marshal(config{
		APIVersion: "v1", Kind: "Config", CurrentContext: name,
		Clusters: []namedCluster{c}, Contexts: []namedContext{x}, Users: []namedUser{u},
	})
}
