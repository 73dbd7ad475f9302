package trust

import (
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/imagebuild/lock"
)

// Platforms verifies a signed lock by its digest and returns its entries for images that no plan
// names yet, by name. Refusals are terminal.
func (v *Verifier) Platforms(lockBytes, signature []byte, digest string, images []plan.Image) (map[string]*lock.Platform, error) {
	if len(lockBytes) == 0 {
		return nil, fault.Terminalf("no lock came with the request for images")
	}
	verified, err := v.VerifyLock(protocol.Delivery{LockBytes: lockBytes, LockSignature: signature}, digest)
	if err != nil {
		return nil, err
	}
	out := map[string]*lock.Platform{}
	for _, image := range images {
		platform, err := find(verified, image)
		if err != nil {
			return nil, err
		}
		out[image.Name] = platform
	}
	return out, nil
}
