package pki

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"time"
)

// The extensions that a tenant's request may carry, as in Magnum (x509 allowed_extensions).
var (
	oidSubjectKeyID     = asn1.ObjectIdentifier{2, 5, 29, 14}
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidSubjectAltName   = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidExtKeyUsage      = asn1.ObjectIdentifier{2, 5, 29, 37}
)

// Key usages that a tenant may ask for, as in Magnum (x509 allowed_key_usage).
const tenantKeyUsages = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageContentCommitment

// SignTenantRequest certifies a tenant's own request: its subject and names, for a client of
// the cluster's API unless it asks for server authentication. The errors of a bad request are
// ErrBadRequest. A request for a CA is refused. Lifetime is LeafLifetime when zero.
func (a *Authority) SignTenantRequest(text string, lifetime time.Duration, now time.Time) (string, error) {
	request, err := ParseRequest(text)
	if err != nil {
		return "", err
	}
	if request.Subject.CommonName == "" {
		return "", fmt.Errorf("%w: its subject has no common name", ErrBadRequest)
	}
	template := &x509.Certificate{
		Subject:        request.Subject,
		DNSNames:       request.DNSNames,
		EmailAddresses: request.EmailAddresses,
		IPAddresses:    request.IPAddresses,
		URIs:           request.URIs,
		ExtKeyUsage:    []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	switch request.PublicKey.(type) {
	case *rsa.PublicKey:
		template.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	case *ecdsa.PublicKey, ed25519.PublicKey:
		template.KeyUsage = x509.KeyUsageDigitalSignature
	default:
		return "", fmt.Errorf("%w: its key is neither RSA nor ECDSA nor Ed25519", ErrBadRequest)
	}
	for _, e := range request.Extensions {
		if err := applyExtension(template, e.Id, e.Value); err != nil {
			return "", err
		}
	}
	return a.sign(request.PublicKey, template, lifetime, now)
}

// applyExtension takes over one requested extension, or refuses it.
func applyExtension(template *x509.Certificate, id asn1.ObjectIdentifier, value []byte) error {
	switch {
	case id.Equal(oidSubjectAltName): // parsed by crypto/x509 already
		return nil
	case id.Equal(oidSubjectKeyID): // made anew from the key
		return nil
	case id.Equal(oidBasicConstraints):
		var constraints struct {
			IsCA       bool `asn1:"optional"`
			MaxPathLen int  `asn1:"optional,default:-1"`
		}
		if rest, err := asn1.Unmarshal(value, &constraints); err != nil || len(rest) > 0 {
			return fmt.Errorf("%w: its basicConstraints cannot be read", ErrBadRequest)
		}
		if constraints.IsCA {
			return fmt.Errorf("%w: CA certificates are not issued", ErrBadRequest)
		}
		return nil
	case id.Equal(oidKeyUsage):
		usage, err := parseKeyUsage(value)
		if err != nil {
			return err
		}
		if usage&^tenantKeyUsages != 0 {
			return &ExtensionError{Name: "keyUsage"}
		}
		template.KeyUsage = usage
		return nil
	case id.Equal(oidExtKeyUsage):
		usages, err := parseExtKeyUsage(value)
		if err != nil {
			return err
		}
		template.ExtKeyUsage = usages
		return nil
	}
	return &ExtensionError{Name: id.String()}
}

// ExtensionError says which requested extension, or value of it, is not allowed.
type ExtensionError struct {
	Name string // keyUsage, extendedKeyUsage, or the dotted object identifier
}

func (e *ExtensionError) Error() string { return fmt.Sprintf("Extension '%s' not allowed", e.Name) }

// Is makes an ExtensionError an ErrBadRequest.
func (e *ExtensionError) Is(target error) bool { return target == ErrBadRequest }

// parseKeyUsage reads the bit string of RFC 5280 section 4.2.1.3: bit 0, the most significant
// of the first byte, is digitalSignature, which is x509.KeyUsage's least significant bit.
func parseKeyUsage(value []byte) (x509.KeyUsage, error) {
	var bits asn1.BitString
	if rest, err := asn1.Unmarshal(value, &bits); err != nil || len(rest) > 0 {
		return 0, fmt.Errorf("%w: its keyUsage cannot be read", ErrBadRequest)
	}
	var usage x509.KeyUsage
	for i := range 9 {
		if bits.At(i) != 0 {
			usage |= 1 << i
		}
	}
	return usage, nil
}

// parseExtKeyUsage reads extended key usages; client and server authentication are allowed.
func parseExtKeyUsage(value []byte) ([]x509.ExtKeyUsage, error) {
	var ids []asn1.ObjectIdentifier
	if rest, err := asn1.Unmarshal(value, &ids); err != nil || len(rest) > 0 || len(ids) == 0 {
		return nil, fmt.Errorf("%w: its extendedKeyUsage cannot be read", ErrBadRequest)
	}
	var usages []x509.ExtKeyUsage
	for _, id := range ids {
		switch id.String() {
		case "1.3.6.1.5.5.7.3.1":
			usages = append(usages, x509.ExtKeyUsageServerAuth)
		case "1.3.6.1.5.5.7.3.2":
			usages = append(usages, x509.ExtKeyUsageClientAuth)
		default:
			return nil, &ExtensionError{Name: "extendedKeyUsage"}
		}
	}
	return usages, nil
}
