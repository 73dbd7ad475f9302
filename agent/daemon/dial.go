package daemon

import (
	"context"
	"crypto/tls"
	"log/slog"
	"path/filepath"
	"time"

	"slipway.build/slipway/agent/act"
	"slipway.build/slipway/agent/certificates"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/join"
	"slipway.build/slipway/agent/nodeapi"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/secrets"
	"slipway.build/slipway/agent/signal"
	"slipway.build/slipway/agent/source"
	"slipway.build/slipway/agent/standalone"
	"slipway.build/slipway/agent/trust"
)

// controlPlane is what the agent asks of one, or of what takes its place.
type controlPlane interface {
	join.API
	join.RenewAPI
	source.API
	certificates.API
	secrets.API
	signal.Sender
	act.Uploader
	Clock() (ahead, within time.Duration, at time.Time)
	// Reconnect has further calls made with the node's newest certificate.
	Reconnect()
	Close()
}

// await waits for the configuration. With a plan file it may name no control plane; then the file
// of plan keys beside it stands for one, and its name changes with the keys.
func (c Config) await(ctx context.Context, log *slog.Logger) (protocol.AgentConfig, error) {
	if c.PlanFile == "" {
		return join.AwaitConfig(ctx, c.ConfigFile, log)
	}
	config, err := join.AwaitConfigAlone(ctx, c.ConfigFile, log)
	if err != nil || config.ControlPlane != "" {
		return config, err
	}
	keys, err := c.planKeys()
	if err != nil {
		return config, err
	}
	config.ControlPlane = keys.Name
	return config, nil
}

func (c Config) planKeys() (*standalone.Keys, error) {
	return standalone.ReadKeys(filepath.Join(filepath.Dir(c.ConfigFile), standalone.KeysFile))
}

// dial returns a client of the control plane that judges certificates by the agent's clock. identity
// is nil for one that calls without the node's certificate: before it has joined, and to renew.
func (c Config) dial(config protocol.AgentConfig, identity func() (*tls.Certificate, error), log *slog.Logger, options ...nodeapi.Option) (controlPlane, error) {
	if !standalone.Is(config.ControlPlane) {
		layer := &trust.Verifier{Baked: c.BakedLock, Now: c.Now}
		return nodeapi.New(config.ControlPlane, config.CA, identity, append(options, nodeapi.WithClock(c.now(), layer.Floor))...)
	}
	keys, err := c.planKeys()
	if err != nil {
		return nil, err
	}
	if keys.Name != config.ControlPlane {
		return nil, fault.Retriablef("the plan keys changed while the agent began; it has to begin anew")
	}
	return &standalone.Local{Keys: keys, Secrets: filepath.Join(filepath.Dir(c.ConfigFile), standalone.SecretsDir), Log: log}, nil
}
