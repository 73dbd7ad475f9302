package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// Lifetimes. Authorities last as long as Magnum's (term_of_validity, 1825 days); certificates
// are valid from a day (leaves of a short life: from a part of it) before they are made, for
// machines whose clock is behind.
const (
	AuthorityLifetime = 1825 * 24 * time.Hour
	backdate          = 24 * time.Hour
)

// maxCommonName is the upper bound of a common name in characters (RFC 5280, ub-common-name).
const maxCommonName = 64

// Authority can sign certificates of one purpose. It is safe for concurrent use.
type Authority struct {
	Certificate *x509.Certificate
	key         crypto.Signer
}

// newClusterAuthority makes an authority for a purpose of a cluster: RSA 2048, SHA-256, path
// length 0, common name "<cluster name> <purpose>".
func newClusterAuthority(clusterName string, purpose Purpose, now time.Time) (*Authority, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make key of the %s authority: %w", purpose, err)
	}
	suffix := " " + string(purpose)
	if limit := maxCommonName - len(suffix); len(clusterName) > limit {
		clusterName = clusterName[:limit]
	}
	return newAuthority(key, clusterName+suffix, x509.SHA256WithRSA, now)
}

// newSystemAuthority makes the authority for nodes and the node API. Its key is P-256: no
// client but ours ever sees it, and its certificate travels in every server's user data.
func newSystemAuthority(now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key of the system authority: %w", err)
	}
	return newAuthority(key, "slipway system", x509.ECDSAWithSHA256, now)
}

func newAuthority(key crypto.Signer, commonName string, algorithm x509.SignatureAlgorithm, now time.Time) (*Authority, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	keyID, err := keyIdentifier(key.Public())
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: commonName},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(AuthorityLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		SubjectKeyId:          keyID,
		AuthorityKeyId:        keyID,
		SignatureAlgorithm:    algorithm,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make certificate of authority %q: %w", commonName, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make certificate of authority %q: %w", commonName, err)
	}
	return &Authority{Certificate: certificate, key: key}, nil
}

// PEM returns the authority's own certificate.
func (a *Authority) PEM() string { return certificatePEM(a.Certificate.Raw) }

func (a *Authority) signatureAlgorithm() x509.SignatureAlgorithm {
	if _, ok := a.key.(*rsa.PrivateKey); ok {
		return x509.SHA256WithRSA
	}
	return x509.ECDSAWithSHA256
}

func certificatePEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// newSerial returns a positive number of 127 random bits (RFC 5280 allows 20 octets).
func newSerial() (*big.Int, error) {
	limit := new(big.Int).Lsh(big.NewInt(1), 127)
	n, err := rand.Int(rand.Reader, limit)
	if err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	return n.Add(n, big.NewInt(1)), nil
}

// keyIdentifier is the first 20 bytes of the SHA-256 of the public key's DER form (RFC 7093).
func keyIdentifier(public crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return sum[:20], nil
}
