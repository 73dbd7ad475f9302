package collect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"slipway.build/slipway/agent/heat/metadata"
)

// CFNInitData is where user data puts the first metadata (cloud-init's part handler, or Heat's
// addition to Ignition's configuration: heat, clients/os/nova.py:build_ignition_data).
const CFNInitData = "/var/lib/heat-cfntools/cfn-init-data"

// HeatLocal reads the first metadata of the server.
type HeatLocal struct{ Path string }

// Name implements Collector.
func (*HeatLocal) Name() string { return nameHeatLocal }

// Collect implements Collector.
func (c *HeatLocal) Collect(context.Context, metadata.Settings) (Found, error) {
	raw, err := os.ReadFile(c.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return Found{}, ErrNotConfigured
	}
	if err != nil {
		return Found{}, fmt.Errorf("read the first metadata: %w", err)
	}
	return parse(nameHeatLocal, raw)
}
