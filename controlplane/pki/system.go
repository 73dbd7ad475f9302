package pki

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/google/uuid"
)

// serverLifetime is the life of the node API's own certificate; ServerCertificates renews it in time.
const serverLifetime = 90 * 24 * time.Hour

// nodePrefix begins the common name of a node's identity certificate.
const nodePrefix = "node:"

// SystemPKI is the control plane's own: the authority for nodes and the key that signs plans.
type SystemPKI struct {
	*Authority
	Plans *PlanSigner
	// NodeLife is the life of a node's own certificate; LeafLifetime when zero.
	NodeLife time.Duration
	now      func() time.Time
}

// OpenSystem finds the control plane's authority and plan signing key in records, or makes
// them. All replicas on one store get the same.
func OpenSystem(ctx context.Context, records Records, sealer Sealer, now func() time.Time) (*SystemPKI, error) {
	authorities := NewAuthorities(records, sealer, now)
	authority, err := authorities.Get(ctx, "", System)
	if errors.Is(err, ErrNoRecord) {
		var made *Authority
		if made, err = newSystemAuthority(now()); err != nil {
			return nil, err
		}
		authority, err = authorities.keep(ctx, recordID{"", System}, made)
	}
	if err != nil {
		return nil, err
	}
	plans, err := openPlanSigner(ctx, records, sealer, now)
	if err != nil {
		return nil, err
	}
	return &SystemPKI{Authority: authority, Plans: plans, now: now}, nil
}

// Now is the clock by which certificates are made and judged.
func (s *SystemPKI) Now() time.Time { return s.now() }

// ServerCertificate returns a new certificate, with its key, for the node API at the given
// host names or addresses.
func (s *SystemPKI) ServerCertificate(hosts ...string) (*tls.Certificate, error) {
	if len(hosts) == 0 {
		return nil, errors.New("certificate of the node API: no address given")
	}
	leaf := Leaf{CommonName: "slipway node API", Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, Lifetime: serverLifetime}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			leaf.IPs = append(leaf.IPs, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, host)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key of the node API: %w", err)
	}
	text, err := s.Issue(key.Public(), leaf, s.now())
	if err != nil {
		return nil, fmt.Errorf("certificate of the node API: %w", err)
	}
	certificates, err := parseCertificates(text)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{certificates[0].Raw}, PrivateKey: key, Leaf: certificates[0]}, nil
}

// IssueNode certifies a node's identity: common name "node:<uuid>", client authentication only.
func (s *SystemPKI) IssueNode(key crypto.PublicKey, node uuid.UUID) (string, error) {
	return s.Issue(key, Leaf{
		CommonName: nodePrefix + node.String(),
		Usages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		Lifetime:   s.NodeLife,
	}, s.now())
}

// NodeOf returns the node that a verified identity certificate names.
func NodeOf(certificate *x509.Certificate) (string, error) {
	text, ok := strings.CutPrefix(certificate.Subject.CommonName, nodePrefix)
	if !ok {
		return "", fmt.Errorf("the certificate names %q, which is no node", certificate.Subject.CommonName)
	}
	id, err := uuid.Parse(text)
	if err != nil || id.String() != text {
		return "", fmt.Errorf("the certificate names %q, which is no node", certificate.Subject.CommonName)
	}
	return text, nil
}

// Pool returns the authority alone as a pool of roots.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Certificate)
	return pool
}
