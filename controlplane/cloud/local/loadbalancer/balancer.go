package loadbalancer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/launch"
	"slipway.build/slipway/controlplane/cloud/local/network"
	"slipway.build/slipway/controlplane/cloud/local/network/coalesce"
	"slipway.build/slipway/controlplane/cloud/local/record"
)

// Launcher is what this package needs of a launch.Launcher.
type Launcher interface {
	Start(ctx context.Context, spec launch.Spec) error
	Stop(ctx context.Context, name string, grace time.Duration) error
	Running(ctx context.Context, name string) (bool, error)
	List(ctx context.Context, prefix string) ([]string, error)
}

// Config is what Balancers need. All fields without a stated default are required.
type Config struct {
	Store    *record.Store
	Network  *network.Network // its prefix begins the names here, too
	Launcher Launcher
	HAProxy  string       // path of the binary within /usr. Default /usr/sbin/haproxy.
	NSpawn   string       // path of systemd-nspawn. Default: found in PATH.
	Log      *slog.Logger // default: discards
}

// Balancers is the local Octavia. It is safe for concurrent use.
type Balancers struct {
	Config
	converging coalesce.Group
}

// New returns Balancers. It touches nothing on the host yet.
func New(cfg Config) (*Balancers, error) {
	if cfg.Store == nil || cfg.Network == nil || cfg.Launcher == nil {
		return nil, errors.New("local load balancers: store, network and launcher are required")
	}
	if cfg.HAProxy == "" {
		cfg.HAProxy = "/usr/sbin/haproxy"
	}
	if _, err := os.Stat(cfg.HAProxy); err != nil {
		return nil, fmt.Errorf("local load balancers: install the package haproxy: %w", err)
	}
	if cfg.NSpawn == "" {
		path, err := exec.LookPath("systemd-nspawn")
		if err != nil {
			return nil, fmt.Errorf("local load balancers: install the package systemd-container: %w", err)
		}
		cfg.NSpawn = path
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Balancers{Config: cfg}, nil
}

// Types returns the resource types of this package by name.
func (b *Balancers) Types() map[string]cloud.Type {
	return map[string]cloud.Type{
		"OS::Octavia::LoadBalancer":  balancerType{b},
		"OS::Octavia::Listener":      listenerType{b},
		"OS::Octavia::Pool":          poolType{b},
		"OS::Octavia::HealthMonitor": monitorType{b},
		"OS::Octavia::PoolMember":    memberType{b},
	}
}

// name is the name of a balancer's container, namespace and cgroup.
func (b *Balancers) name(id string) string { return b.prefix() + record.Short(id) }

func (b *Balancers) prefix() string { return b.Network.Prefix + "-lb-" }

// dir is where a balancer's files are: conf and state, which the container sees, its root, its log.
func (b *Balancers) dir(id string) string { return filepath.Join(b.Store.Dir(), "balancer", id) }

// Restore brings every balancer back to what the records say, such as after a reboot. The
// network has to be restored before.
func (b *Balancers) Restore(ctx context.Context) error {
	all, err := record.List[balancerRecord](b.Store, kindBalancer)
	if err != nil {
		return err
	}
	var errs []error
	for _, v := range all {
		errs = append(errs, b.converge(ctx, v.ID))
	}
	return errors.Join(errs...)
}

// Tend starts again every balancer whose process has died, looking each period, until ctx ends.
func (b *Balancers) Tend(ctx context.Context, period time.Duration) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		all, err := live[balancerRecord](b.Store, kindBalancer)
		if err != nil {
			b.Log.Error("list load balancers", "error", err)
		}
		for _, v := range all {
			s, err := loadSetup(b.Store, v.ID)
			if err != nil || !v.Started || len(s.Pools) == 0 {
				continue
			}
			running, err := b.Launcher.Running(ctx, b.name(v.ID))
			if err == nil && !running {
				b.Log.Warn("load balancer died, starting it again", "balancer", v.Name, "id", v.ID)
				err = b.converge(ctx, v.ID)
			}
			if err != nil && ctx.Err() == nil {
				b.Log.Error("tend load balancer", "balancer", v.Name, "id", v.ID, "error", err)
			}
		}
	}
}
