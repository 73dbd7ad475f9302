package serve

import (
	"fmt"
	"log/slog"
	"time"
)

// Options are the flags of `slipwayd serve`.
type Options struct {
	State                              string
	Listen, NodeListen, RegistryListen string // host:port
	Parallel                           int
	// Lives; all are set.
	NodeCertificateLife, ComponentCertificateLife, PlanLife, PlanKeyLife time.Duration
	Log                                                                  *slog.Logger
}

// leastLife is the shortest life that may be asked for: what lives shorter is renewed all the time.
const leastLife = 10 * time.Second

// Check refuses options that make no sense.
func (o Options) Check() error {
	for _, life := range []struct {
		flag  string
		value time.Duration
	}{
		{"node-certificate-life", o.NodeCertificateLife}, {"component-certificate-life", o.ComponentCertificateLife},
		{"plan-life", o.PlanLife}, {"plan-key-life", o.PlanKeyLife},
	} {
		if life.value < leastLife {
			return fmt.Errorf("--%s %s: at least %s", life.flag, life.value, leastLife)
		}
	}
	return nil
}
