package api

import (
	"errors"
	"net/http"
	"strings"

	"slipway.build/slipway/controlplane/identity"
	"slipway.build/slipway/controlplane/pki"
	"slipway.build/slipway/controlplane/store"
)

// showCertificate answers with the certificate of one of the cluster's authorities.
func (s *server) showCertificate(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	certType := r.URL.Query().Get("ca_cert_type")
	purpose, err := pki.ParsePurpose(certType)
	if err != nil {
		return invalidField("ca_cert_type", certType, "Value should be one of: kubernetes, etcd, front-proxy")
	}
	c, err := findCluster(ctx, s.Store, identity.FromContext(ctx), r.PathValue("cluster"))
	if err != nil {
		return err
	}
	authority, err := s.Authorities.Ensure(ctx, c.UUID, c.Name, purpose)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"cluster_uuid": c.UUID,
		"pem":          authority.PEM(),
		"links":        objectLinks(baseOf(r), "certificates", c.UUID),
	})
	return nil
}

// signCertificate signs a tenant's request with the kubernetes authority. The others vouch for
// components only: a holder of an etcd certificate could read and write behind Kubernetes' back.
func (s *server) signCertificate(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	b, err := readBody(w, r, []field{
		{name: "cluster_uuid", required: true, minLength: 1},
		{name: "csr", required: true, minLength: 1, maxLength: 64 << 10},
		{name: "ca_cert_type"},
	})
	if err != nil {
		return err
	}
	certType := valueOf(b.text("ca_cert_type"), "")
	if purpose, err := pki.ParsePurpose(certType); err != nil || purpose != pki.Kubernetes {
		return invalidField("ca_cert_type", certType, "Only requests for the kubernetes authority are signed")
	}
	c, err := findCluster(ctx, s.Store, identity.FromContext(ctx), *b.text("cluster_uuid"))
	if err != nil {
		if statusOf(err) == http.StatusNotFound {
			return badRequest("%s", err.Error())
		}
		return err
	}
	if strings.HasPrefix(c.Status, store.ActionDelete+"_") {
		return badRequest("Signing a certificate when status is \"%s\" is not supported.", c.Status)
	}
	authority, err := s.Authorities.Ensure(ctx, c.UUID, c.Name, pki.Kubernetes)
	if err != nil {
		return err
	}
	csr := *b.text("csr")
	certificate, err := authority.SignTenantRequest(csr, 0, s.Now())
	if err != nil {
		return refusedRequest(err)
	}
	writeJSON(w, http.StatusCreated, map[string]any{
		"cluster_uuid": c.UUID,
		"csr":          csr,
		"pem":          certificate,
		"links":        objectLinks(baseOf(r), "certificates", c.UUID),
	})
	return nil
}

func refusedRequest(err error) error {
	var extension *pki.ExtensionError
	switch {
	case errors.As(err, &extension):
		return badRequest("%s", extension.Error())
	case errors.Is(err, pki.ErrBadRequest):
		return badRequest("Received invalid csr. %s.", err)
	}
	return err
}
