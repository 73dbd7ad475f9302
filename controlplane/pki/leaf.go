package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"time"
)

// LeafLifetime is the life of a certificate whose purpose names none.
const LeafLifetime = 365 * 24 * time.Hour

// leafBackdate is the part of its life by which a leaf is valid before it is made, a day at most:
// much of a short life must not be over when it begins, for leaves are renewed at two thirds of it.
const leafBackdate = 10

// Leaf says what an end entity's certificate states. It is never a CA.
type Leaf struct {
	CommonName   string
	Organization []string
	DNSNames     []string
	IPs          []net.IP
	// Usages are the extended key usages; at least one.
	Usages []x509.ExtKeyUsage
	// Lifetime counts from now; LeafLifetime when zero. It ends with the authority at the latest.
	Lifetime time.Duration
}

// Issue certifies a P-256 key that was made on a node, and returns the certificate as PEM.
// The caller has decided every name in leaf; nothing is taken from the node's request.
func (a *Authority) Issue(key crypto.PublicKey, leaf Leaf, now time.Time) (string, error) {
	if k, ok := key.(*ecdsa.PublicKey); !ok || k.Curve != elliptic.P256() {
		return "", fmt.Errorf("certify %q: the key must be ECDSA P-256", leaf.CommonName)
	}
	if leaf.CommonName == "" || len(leaf.Usages) == 0 {
		return "", errors.New("certify: a leaf needs a common name and an extended key usage")
	}
	return a.sign(key, &x509.Certificate{
		Subject:     pkix.Name{CommonName: leaf.CommonName, Organization: leaf.Organization},
		DNSNames:    leaf.DNSNames,
		IPAddresses: leaf.IPs,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: leaf.Usages,
	}, leaf.Lifetime, now)
}

// sign completes the template with what all leaves share and signs it.
func (a *Authority) sign(key crypto.PublicKey, template *x509.Certificate, lifetime time.Duration, now time.Time) (string, error) {
	if now.After(a.Certificate.NotAfter) {
		return "", fmt.Errorf("certify %q: authority %q expired at %s; rotate it",
			template.Subject.CommonName, a.Certificate.Subject.CommonName, a.Certificate.NotAfter.Format(time.RFC3339))
	}
	if lifetime <= 0 {
		lifetime = LeafLifetime
	}
	var err error
	if template.SerialNumber, err = newSerial(); err != nil {
		return "", err
	}
	if template.SubjectKeyId == nil {
		if template.SubjectKeyId, err = keyIdentifier(key); err != nil {
			return "", err
		}
	}
	template.NotBefore = latest(now.Add(-min(backdate, lifetime/leafBackdate)), a.Certificate.NotBefore)
	template.NotAfter = earliest(now.Add(lifetime), a.Certificate.NotAfter)
	template.BasicConstraintsValid = true
	template.IsCA = false
	template.SignatureAlgorithm = a.signatureAlgorithm()
	der, err := x509.CreateCertificate(rand.Reader, template, a.Certificate, key, a.key)
	if err != nil {
		return "", fmt.Errorf("certify %q: %w", template.Subject.CommonName, err)
	}
	return certificatePEM(der), nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
