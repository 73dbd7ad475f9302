package loadbalancer

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"strings"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/network/property"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

// algorithms maps Octavia's names to haproxy's.
var algorithms = map[string]string{"ROUND_ROBIN": "roundrobin", "LEAST_CONNECTIONS": "leastconn", "SOURCE_IP": "source"}

// poolType is OS::Octavia::Pool: the backends of one listener. Checks of type HTTPS verify the
// backends' certificates against backend_ca.
type poolType struct{ b *Balancers }

func (poolType) Schema() cloud.Schema {
	return cloud.Schema{Properties: []cloud.Property{
		{Name: "name", Kind: cloud.String},
		{Name: "listener", Kind: cloud.String, Required: true},
		{Name: "protocol", Kind: cloud.String, Default: "TCP"},
		{Name: "lb_algorithm", Kind: cloud.String, Default: "ROUND_ROBIN"},
		{Name: "backend_ca", Kind: cloud.String},
	}}
}

func (t poolType) Create(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	var p struct {
		Name      string `json:"name"`
		Listener  string `json:"listener"`
		Protocol  string `json:"protocol"`
		Algorithm string `json:"lb_algorithm"`
		CA        string `json:"backend_ca"`
	}
	if err := property.Decode(req, t.Schema(), &p); err != nil {
		return cloud.Object{}, err
	}
	if err := checkProtocol(req, p.Protocol); err != nil {
		return cloud.Object{}, err
	}
	if algorithms[p.Algorithm] == "" {
		return cloud.Object{}, fault.Terminalf("resource %s: property lb_algorithm: %q is none of ROUND_ROBIN, LEAST_CONNECTIONS, SOURCE_IP", req.Name, p.Algorithm)
	}
	ca, err := certificates(req, p.CA)
	if err != nil {
		return cloud.Object{}, err
	}
	v := poolRecord{meta: newMeta(kindPool, req, p.Name), Listener: p.Listener, Protocol: p.Protocol, Algorithm: p.Algorithm, CA: ca}
	return put(ctx, t.b, kindPool, v.ID, func(tx *record.Tx) (poolRecord, string, error) {
		l, err := find[listenerRecord](tx, req, "listener", kindListener, p.Listener)
		if err != nil {
			return v, "", err
		}
		v.Balancer = l.Balancer
		others, err := live[poolRecord](tx, kindPool)
		for _, o := range others {
			if o.ID != v.ID && o.Listener == v.Listener {
				return v, "", fault.Terminalf("resource %s: property listener: it has pool %s already", req.Name, o.Name)
			}
		}
		return v, v.Balancer, err
	})
}

func (t poolType) Delete(ctx context.Context, req cloud.Request) error {
	return remove(ctx, t.b, kindPool, record.ID(kindPool, req.Key),
		func(v *poolRecord) { v.Deleting = true },
		func(v poolRecord) error { return t.b.converge(ctx, v.Balancer) })
}

// certificates returns the certificates of a PEM text and nothing else of it: what haproxy reads
// must not stop it from starting, and no key gets into its files.
func certificates(req cloud.Request, text string) (string, error) {
	var out strings.Builder
	rest := []byte(text)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil || block.Type != "CERTIFICATE" {
			return "", fault.Terminalf("resource %s: property backend_ca: a PEM block of type %q is no valid certificate", req.Name, block.Type)
		}
		block.Headers = nil
		out.Write(pem.EncodeToMemory(block))
	}
	if text != "" && out.Len() == 0 {
		return "", fault.Terminalf("resource %s: property backend_ca: it has no PEM certificate", req.Name)
	}
	return out.String(), nil
}
