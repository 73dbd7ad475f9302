package certificates

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"slipway.build/slipway/agent/plan"
)

// Renew makes the pairs anew, however much of their life is left. A renewal that is interrupted
// is finished by the next Ensure of the same certificates.
func (m *Maker) Renew(ctx context.Context, wanted []plan.Certificate) error {
	for _, certificate := range wanted {
		// Without the request a pair does not count; the pair itself serves until the new one is here.
		if err := os.Remove(filepath.Join(m.Dir, certificate.Name, requestFile)); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("renew certificate %s: %w", certificate.Name, err)
		}
	}
	return m.Ensure(ctx, wanted)
}
