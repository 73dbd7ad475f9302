package compute

import (
	"context"
	"fmt"

	"slipway.build/slipway/controlplane/cloud"
)

// flavors returns the sizes of server that the local cloud has. Memory and processor time are
// limits of the kernel; the disk of a server is the host's and not limited.
func flavors() []cloud.Flavor {
	return []cloud.Flavor{
		{ID: "1", Name: "c1.c1r2", VCPUs: 1, RAM: 2048, Disk: 20},
		{ID: "2", Name: "c1.c2r4", VCPUs: 2, RAM: 4096, Disk: 40},
		{ID: "3", Name: "c1.c2r8", VCPUs: 2, RAM: 8192, Disk: 40},
		{ID: "4", Name: "c1.c4r8", VCPUs: 4, RAM: 8192, Disk: 80},
		{ID: "5", Name: "c1.c4r16", VCPUs: 4, RAM: 16384, Disk: 80},
		{ID: "6", Name: "c1.c8r16", VCPUs: 8, RAM: 16384, Disk: 160},
		{ID: "m1.small", Name: "m1.small", VCPUs: 1, RAM: 2048, Disk: 20},
		{ID: "m1.medium", Name: "m1.medium", VCPUs: 2, RAM: 4096, Disk: 40},
		{ID: "m1.large", Name: "m1.large", VCPUs: 4, RAM: 8192, Disk: 80},
	}
}

// Flavor returns the named or identified flavor, or an error that errors.Is(err, cloud.ErrNotFound).
func (c *Compute) Flavor(_ context.Context, nameOrID string) (cloud.Flavor, error) {
	for _, f := range flavors() {
		if nameOrID == f.ID || nameOrID == f.Name {
			return f, nil
		}
	}
	return cloud.Flavor{}, fmt.Errorf("flavor %s: %w", nameOrID, cloud.ErrNotFound)
}
