package heat

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"slipway.build/slipway/agent/heat/cache"
	"slipway.build/slipway/agent/heat/collect"
	"slipway.build/slipway/agent/heat/hooks"
	"slipway.build/slipway/agent/heat/ledger"
	"slipway.build/slipway/agent/plan"
)

// Config says where things are; Defaults has a node's.
type Config struct {
	StateDir   string // the ledger
	StatusFile string // "" for none

	InitData        string // the first metadata, from user data
	LocalData       string
	Hint            string
	MetadataService string // "" turns the collector ec2 off
	Drive           func() (json.RawMessage, error)

	Cache    cache.Cache
	Deployed ledger.Deployed
	Hooks    hooks.Runner

	// Roots reads the certificate authorities; nil for the machine's.
	Roots func() (*x509.CertPool, error)
	// MinPolling is between two collections after a change; it doubles from there up to the
	// metadata's polling_interval.
	MinPolling time.Duration
	// Repeats are how long after its acceptance, and after each other, a signal is said again.
	Repeats []time.Duration
	// Reached is told of each step that a death may follow; tests die there.
	Reached func(point string)
}

// Defaults returns the configuration of a node.
func Defaults() Config {
	return Config{
		StateDir: filepath.Join(plan.StateDir, "heat"), StatusFile: StatusPath,
		InitData: collect.CFNInitData, LocalData: collect.LocalData, Hint: collect.HintFile,
		MetadataService: collect.MetadataService, Drive: collect.SystemDrive().Read,
		Cache:    cache.Cache{Dir: cache.Dir, Copy: cache.CopyDir, HeatConfig: cache.HeatConfig},
		Deployed: ledger.Deployed{Dir: ledger.DeployedDir, Old: ledger.OldDeployedDir},
		Hooks: hooks.Runner{
			WorkDir: hooks.WorkDir, OutputsDir: hooks.OutputsDir, LogDir: hooks.LogDir, HookDirs: hooks.HookDirs(),
		},
		MinPolling: time.Second,
		Repeats:    []time.Duration{20 * time.Second, 2 * time.Minute, 10 * time.Minute},
	}
}

// Wanted reports whether this machine was booted by a Heat that expects an agent on it, and by
// nobody who has configured a Slipway control plane.
func (c Config) Wanted(agentConfig string) bool {
	_, hasData := os.Lstat(c.InitData)
	_, hasConfig := os.Lstat(agentConfig)
	return hasData == nil && errors.Is(hasConfig, fs.ErrNotExist)
}

func (c Config) reached(point string) {
	if c.Reached != nil {
		c.Reached(point)
	}
}
