package rest

import (
	"crypto/x509"
	"os"
	"path/filepath"
)

// bundles are where distributions keep their authorities, and where Magnum's templates put the
// operator's (magnum, k8s_fedora_coreos_v1 user_data.json). Unlike crypto/x509's own pool they are
// read again whenever asked.
var bundles = [...]string{
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/ca-trust/source/anchors/*.pem",
}

// bundleVariables name further bundles: OpenSSL's, and the one that python-requests has, which
// heat-container-agent was started with.
var bundleVariables = [...]string{"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"}

// SystemRoots reads the authorities of this machine from its files.
func SystemRoots() (*x509.CertPool, error) {
	patterns := bundles[:]
	for _, name := range bundleVariables {
		if path := os.Getenv(name); path != "" {
			patterns = append(patterns[:len(patterns):len(patterns)], path)
		}
	}
	return ReadRoots(patterns...)
}

// ReadRoots reads PEM files, by patterns of filepath.Match. What is not there or holds no
// certificate adds nothing: a server that needs it is refused.
func ReadRoots(patterns ...string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	for _, pattern := range patterns {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			if raw, err := os.ReadFile(path); err == nil {
				pool.AppendCertsFromPEM(raw)
			}
		}
	}
	return pool, nil
}

// Files returns a Client's Roots that are in PEM files and nowhere else.
func Files(paths ...string) func() (*x509.CertPool, error) {
	return func() (*x509.CertPool, error) { return ReadRoots(paths...) }
}
