package loadbalancer

import (
	"context"
	"regexp"
	"time"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/network/property"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

// monitorType is OS::Octavia::HealthMonitor. HTTPS asks for url_path over TLS that is verified
// against the pool's backend_ca and wants status 200; with domain_name the certificate has to
// be for that name, too. TCP only connects.
type monitorType struct{ b *Balancers }

func (monitorType) Schema() cloud.Schema {
	return cloud.Schema{Properties: []cloud.Property{
		{Name: "pool", Kind: cloud.String, Required: true},
		{Name: "type", Kind: cloud.String, Required: true},
		{Name: "url_path", Kind: cloud.String, Default: "/"},
		{Name: "domain_name", Kind: cloud.String},
		{Name: "delay_ms", Kind: cloud.Number, Required: true},
		{Name: "timeout_ms", Kind: cloud.Number, Required: true},
		{Name: "max_retries", Kind: cloud.Number, Default: 3},
	}}
}

var (
	pathForm   = regexp.MustCompile(`^/[A-Za-z0-9/_.~%?=&!,;+-]*$`) // goes into haproxy's configuration
	domainForm = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]*[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
)

func (t monitorType) Create(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	var p struct {
		Pool    string       `json:"pool"`
		Type    string       `json:"type"`
		Path    string       `json:"url_path"`
		Domain  string       `json:"domain_name"`
		Delay   property.Int `json:"delay_ms"`
		Timeout property.Int `json:"timeout_ms"`
		Retries property.Int `json:"max_retries"`
	}
	if err := property.Decode(req, t.Schema(), &p); err != nil {
		return cloud.Object{}, err
	}
	switch {
	case p.Type != "HTTPS" && p.Type != "TCP":
		return cloud.Object{}, fault.Terminalf("resource %s: property type: %q is neither HTTPS nor TCP", req.Name, p.Type)
	case !pathForm.MatchString(p.Path):
		return cloud.Object{}, fault.Terminalf("resource %s: property url_path: %q is no path", req.Name, p.Path)
	case p.Domain != "" && !domainForm.MatchString(p.Domain):
		return cloud.Object{}, fault.Terminalf("resource %s: property domain_name: %q is no domain name", req.Name, p.Domain)
	case p.Delay < 10 || p.Timeout < 10:
		return cloud.Object{}, fault.Terminalf("resource %s: properties delay_ms and timeout_ms: %d and %d are not both at least 10", req.Name, p.Delay, p.Timeout)
	case p.Retries < 1 || p.Retries > 10:
		return cloud.Object{}, fault.Terminalf("resource %s: property max_retries: %d is not between 1 and 10", req.Name, p.Retries)
	}
	v := monitorRecord{meta: newMeta(kindMonitor, req, ""), Pool: p.Pool, Type: p.Type, Path: p.Path, Domain: p.Domain,
		Delay: time.Duration(p.Delay) * time.Millisecond, Timeout: time.Duration(p.Timeout) * time.Millisecond, Retries: int(p.Retries)}
	return put(ctx, t.b, kindMonitor, v.ID, func(tx *record.Tx) (monitorRecord, string, error) {
		pool, err := find[poolRecord](tx, req, "pool", kindPool, p.Pool)
		if err != nil {
			return v, "", err
		}
		if v.Type == "HTTPS" && pool.CA == "" {
			return v, "", fault.Terminalf("resource %s: checks of type HTTPS verify certificates: pool %s needs the property backend_ca", req.Name, pool.Name)
		}
		v.Balancer = pool.Balancer
		others, err := live[monitorRecord](tx, kindMonitor)
		for _, o := range others {
			if o.ID != v.ID && o.Pool == v.Pool {
				return v, "", fault.Terminalf("resource %s: property pool: it has health monitor %s already", req.Name, o.ID)
			}
		}
		return v, v.Balancer, err
	})
}

func (t monitorType) Delete(ctx context.Context, req cloud.Request) error {
	return remove(ctx, t.b, kindMonitor, record.ID(kindMonitor, req.Key),
		func(v *monitorRecord) { v.Deleting = true },
		func(v monitorRecord) error { return t.b.converge(ctx, v.Balancer) })
}
