package testplane

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"strings"
	"time"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
)

func (p *Plane) key() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p.check(err)
	return key
}

func (p *Plane) certify(public any, name string) string {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	p.check(err)
	now, life := time.Now(), p.Life
	if p.Now != nil {
		now = p.Now()
	}
	if life == 0 {
		life = 24 * time.Hour
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-life / 10), NotAfter: now.Add(life),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, p.ca, public, p.caKey)
	p.check(err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func (p *Plane) join(w http.ResponseWriter, r *http.Request) {
	var request protocol.JoinRequest
	if json.NewDecoder(r.Body).Decode(&request) != nil || request.Token != Token {
		refuse(w, http.StatusForbidden, "token-invalid", true)
		return
	}
	csr := identify(w, request.Node, request.CSR)
	if csr == nil {
		return
	}
	by := string(csr.RawSubjectPublicKeyInfo)
	p.mu.Lock()
	fresh := p.joinedBy == "" || p.joinedBy == by
	if fresh {
		p.joinedBy = by
	}
	p.mu.Unlock()
	if !fresh {
		refuse(w, http.StatusForbidden, "token-used", true)
		return
	}
	key, err := plan.PublicKey(&p.PlanKey.PublicKey)
	p.check(err)
	_ = json.NewEncoder(w).Encode(protocol.JoinResponse{Certificate: p.certify(csr.PublicKey, csr.Subject.CommonName), PlanKeys: []protocol.PlanKey{key}})
}

func (p *Plane) renew(w http.ResponseWriter, r *http.Request) {
	var request protocol.RenewRequest
	if json.NewDecoder(r.Body).Decode(&request) != nil {
		refuse(w, http.StatusBadRequest, "body", true)
		return
	}
	csr := identify(w, request.Node, request.CSR)
	if csr == nil {
		return
	}
	p.mu.Lock()
	known := p.joinedBy == string(csr.RawSubjectPublicKeyInfo)
	p.renewals++
	p.mu.Unlock()
	if !known {
		refuse(w, http.StatusForbidden, "foreign-key", true)
		return
	}
	_ = json.NewEncoder(w).Encode(protocol.RenewResponse{Certificate: p.certify(csr.PublicKey, csr.Subject.CommonName)})
}

// identify reads a request for a node's own certificate. It has refused the call when it returns
// nil.
func identify(w http.ResponseWriter, node, text string) *x509.CertificateRequest {
	csr := parse(text)
	if csr == nil || csr.Subject.CommonName != "node:"+node {
		refuse(w, http.StatusBadRequest, "csr", true)
		return nil
	}
	return csr
}

// Renewals returns how often a node's certificate was asked for again.
func (p *Plane) Renewals() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.renewals
}

func (p *Plane) certificates(w http.ResponseWriter, r *http.Request) {
	var requests []protocol.CertificateRequest
	if json.NewDecoder(r.Body).Decode(&requests) != nil {
		refuse(w, http.StatusBadRequest, "body", true)
		return
	}
	var responses []protocol.CertificateResponse
	for _, request := range requests {
		csr := parse(request.CSR)
		if csr == nil || strings.HasPrefix(request.Purpose, "unknown") {
			refuse(w, http.StatusForbidden, "unknown-purpose", true)
			return
		}
		responses = append(responses, protocol.CertificateResponse{Name: request.Name, Certificate: p.certify(csr.PublicKey, request.Purpose)})
	}
	_ = json.NewEncoder(w).Encode(responses)
}

func parse(text string) *x509.CertificateRequest {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || csr.CheckSignature() != nil {
		return nil
	}
	return csr
}
