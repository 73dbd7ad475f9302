package pki

import (
	"crypto/tls"
	"sync"
)

// ServerCertificates returns a function for tls.Config.GetCertificate that serves the node API's
// certificate for the given host names or addresses and replaces it at half its life.
func (s *SystemPKI) ServerCertificates(hosts ...string) (func(*tls.ClientHelloInfo) (*tls.Certificate, error), error) {
	current, err := s.ServerCertificate(hosts...)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		if current.Leaf.NotAfter.Sub(s.now()) < serverLifetime/2 {
			renewed, err := s.ServerCertificate(hosts...)
			if err != nil {
				return nil, err
			}
			current = renewed
		}
		return current, nil
	}, nil
}
