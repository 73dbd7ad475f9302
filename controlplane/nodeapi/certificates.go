package nodeapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/components"
	"slipway.build/slipway/controlplane/pki"
	"slipway.build/slipway/controlplane/store"
)

// maxCertificates bounds the requests of one call; a master's plan has about a dozen.
const maxCertificates = 64

// certificates signs requests for certificates of the node's current plan: all or none. Only
// the key of a request counts; all names come from the purpose.
func (s *Server) certificates(w http.ResponseWriter, r *http.Request, node *store.Node) error {
	var requests []protocol.CertificateRequest
	if err := readBody(w, r, maxCertificatesBody, &requests); err != nil {
		return err
	}
	if len(requests) == 0 || len(requests) > maxCertificates {
		return refuse(http.StatusBadRequest, codeBadRequest, "a call asks for 1 to %d certificates, not %d", maxCertificates, len(requests))
	}
	ctx := r.Context()
	p, err := s.currentPlan(ctx, node)
	if err != nil {
		return err
	}
	responses := make([]protocol.CertificateResponse, 0, len(requests))
	for _, request := range requests {
		certificate, err := s.certify(ctx, node, p, request)
		if err != nil {
			s.noteRefusal(r, node.ID, fmt.Sprintf("certificate %q", cut(request.Name, 80)), err)
			return err
		}
		responses = append(responses, protocol.CertificateResponse{Name: request.Name, Certificate: certificate})
	}
	for _, request := range requests {
		s.Log.InfoContext(ctx, "certificate signed", "node", node.Name, "node_id", node.ID, "cluster", node.ClusterID, "purpose", request.Purpose)
	}
	writeJSON(w, http.StatusOK, responses)
	return nil
}

func (s *Server) certify(ctx context.Context, node *store.Node, p *plan.Plan, request protocol.CertificateRequest) (string, error) {
	parsed, err := pki.ParseRequest(request.CSR)
	if err != nil {
		return "", refuse(http.StatusBadRequest, codeBadRequest, "certificate %q: %v", request.Name, err)
	}
	if !isP256(parsed.PublicKey) {
		return "", refuse(http.StatusBadRequest, codeBadRequest, "certificate %q: the key must be ECDSA P-256", request.Name)
	}
	profile, err := s.Profiles.Profile(ctx, node, request.Purpose)
	if errors.Is(err, components.ErrPurpose) {
		return "", refuse(http.StatusForbidden, codeUnknownPurpose, "certificate %q: %v", request.Name, err)
	}
	if err != nil {
		return "", fmt.Errorf("certificate %q of node %s: %w", request.Name, node.Name, err)
	}
	if !slices.ContainsFunc(p.Certificates, func(c plan.Certificate) bool { return c.Name == request.Name && c.Purpose == request.Purpose }) {
		return "", later(http.StatusConflict, codeNotInPlan, "the current plan of node %s names no certificate %q for %q", node.Name, request.Name, request.Purpose)
	}
	authority, err := s.Authorities.Get(ctx, node.ClusterID, pki.Purpose(profile.Authority))
	if err != nil {
		return "", fmt.Errorf("certificate %q of node %s: %w", request.Name, node.Name, err)
	}
	leaf := leafOf(profile)
	if s.CertificateLife > 0 {
		leaf.Lifetime = s.CertificateLife
	}
	return authority.Issue(parsed.PublicKey, leaf, s.Now())
}

// leafOf turns a profile into what is signed.
func leafOf(profile components.Profile) pki.Leaf {
	leaf := pki.Leaf{
		CommonName: profile.CommonName, Organization: profile.Organizations, DNSNames: profile.DNSNames,
		Usages: profile.Usages, Lifetime: profile.Lifetime,
	}
	for _, address := range profile.Addresses {
		leaf.IPs = append(leaf.IPs, net.IP(address.AsSlice()))
	}
	return leaf
}
