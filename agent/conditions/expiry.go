package conditions

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"slipway.build/slipway/agent/protocol"
)

// TypeExpiry is the type of Expiry's condition.
const TypeExpiry = "CertificateExpiry"

// A certificate should have been renewed when a third of its life was left. At a sixth the
// renewal has failed for long enough to tell somebody.
const lastPart = 6

// Expiry watches how long the node's certificates live.
type Expiry struct {
	// Chains returns the PEM chains of the node's certificates by name, leaf first.
	Chains func() (map[string][]byte, error)
	Now    func() time.Time
}

// Every implements Source.
func (e *Expiry) Every() time.Duration { return time.Minute }

// Look implements Source. The certificate that ends first decides.
func (e *Expiry) Look(context.Context) []protocol.Condition {
	chains, err := e.Chains()
	if err != nil {
		return []protocol.Condition{finding(TypeExpiry, Unknown, "Unreadable", "%v", err)}
	}
	if len(chains) == 0 {
		return []protocol.Condition{finding(TypeExpiry, Unknown, "NoCertificate", "the node has no certificate yet")}
	}
	var first *x509.Certificate
	name, late := "", 0
	for of, chain := range chains {
		leaf, err := leafOf(chain)
		if err != nil {
			return []protocol.Condition{finding(TypeExpiry, Unknown, "Unreadable", "certificate %s: %v", of, err)}
		}
		if e.late(leaf) {
			late++
		}
		if first == nil || leaf.NotAfter.Before(first.NotAfter) {
			first, name = leaf, of
		}
	}
	left := first.NotAfter.Sub(e.Now())
	figures := fmt.Sprintf("certificate %s, of %d the first to end, is valid until %s (%s)", name, len(chains), first.NotAfter.UTC().Format(time.DateTime+" MST"), span(left))
	switch {
	case left <= 0:
		return []protocol.Condition{finding(TypeExpiry, True, "Expired", "%s; %d of %d are not renewed in time: see the agent's log", figures, late, len(chains))}
	case late > 0:
		return []protocol.Condition{finding(TypeExpiry, True, "ExpiresSoon", "%s; %d of %d are not renewed in time: see the agent's log", figures, late, len(chains))}
	default:
		return []protocol.Condition{finding(TypeExpiry, False, "Valid", "%s", figures)}
	}
}

func (e *Expiry) late(leaf *x509.Certificate) bool {
	return leaf.NotAfter.Sub(e.Now()) < leaf.NotAfter.Sub(leaf.NotBefore)/lastPart
}

func leafOf(chain []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(chain)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("is no PEM certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

// span says how far away a moment is, in days or less.
func span(left time.Duration) string {
	const day = 24 * time.Hour
	unit := fmt.Sprintf("%v", left.Abs().Round(time.Minute))
	if left.Abs() >= 2*day {
		unit = fmt.Sprintf("%d days", left.Abs()/day)
	}
	if left < 0 {
		return unit + " ago"
	}
	return "in " + unit
}
