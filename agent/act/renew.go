package act

import (
	"context"
	"slices"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
)

// Certificates has key pairs certified anew; certificates.Maker does.
type Certificates interface {
	Renew(ctx context.Context, wanted []plan.Certificate) error
}

// Renew renews certificates of the current plan, however much of their life is left. Components read
// them again by themselves.
type Renew struct {
	Current      Current
	Certificates Certificates
}

// Do implements Doer.
func (d *Renew) Do(ctx context.Context, job Job) (Outcome, error) {
	p, err := d.Current()
	if err != nil {
		return Outcome{}, err
	}
	if p == nil {
		return Outcome{}, fault.Terminalf("the node has no current plan")
	}
	wanted := p.Certificates
	if names := job.Request.Arguments.Certificates; len(names) > 0 {
		wanted = nil
		for _, name := range names {
			i := slices.IndexFunc(p.Certificates, func(c plan.Certificate) bool { return c.Name == name })
			if i < 0 {
				return Outcome{}, fault.Terminalf("certificate %s is not in the current plan", name)
			}
			wanted = append(wanted, p.Certificates[i])
		}
	}
	if err := d.Certificates.Renew(ctx, wanted); err != nil {
		return Outcome{}, err
	}
	var outcome Outcome
	for _, certificate := range wanted {
		outcome.Results = append(outcome.Results, protocol.ActionResult{
			Name: certificate.Name, Status: protocol.ResultOK, Message: "renewed for purpose " + certificate.Purpose,
		})
	}
	return outcome, nil
}
