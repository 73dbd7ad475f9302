package compute

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/launch"
	"slipway.build/slipway/controlplane/cloud/local/record"
)

// Launcher starts and finds processes that outlive this one; package launch has it.
type Launcher interface {
	Start(ctx context.Context, spec launch.Spec) error
	Stop(ctx context.Context, name string, grace time.Duration) error
	Running(ctx context.Context, name string) (bool, error)
	Processes(ctx context.Context, name string) ([]int, error)
	List(ctx context.Context, prefix string) ([]string, error)
}

// Plugger connects ports to network namespaces.
type Plugger interface {
	// Plug gives the namespace, which exists and holds nothing, a configured link host0.
	Plug(ctx context.Context, port, namespace string) error
	// Unplug takes the link away. A port that is not plugged, or is gone, is no error.
	Unplug(ctx context.Context, port string) error
	// Endpoint returns what the owner of the port has to know of it.
	Endpoint(ctx context.Context, port string) (Endpoint, error)
}

// Endpoint is a port as seen by the server that it is plugged into.
type Endpoint struct {
	Address netip.Addr
	MAC     string
	DNS     []netip.Addr
}

// Igniter applies user data to a root file system; imagebuild/ignition has it.
type Igniter interface {
	Apply(ctx context.Context, root string, userData []byte) error
}

// Image is a node OS image, unpacked.
type Image struct {
	// Layers are directories, the topmost first: the OS layer and the base tree.
	Layers []string
	// Init is the path in the image of its first process.
	Init string
}

// Config is what Compute needs. All fields without a stated default are required.
type Config struct {
	Store *record.Store
	// Dir holds the files of servers, volumes and keypairs: an absolute path.
	Dir string
	// Prefix begins the names of everything on the host: <prefix>-srv-<8hex>. Default "slip".
	Prefix   string
	Launcher Launcher
	Network  Plugger
	Ignition Igniter
	// Image finds an image by name; an error that errors.Is(err, cloud.ErrNotFound) is terminal.
	Image func(ctx context.Context, name string) (Image, error)
	// UserData resolves the property user_data when it is a reference; nil leaves it as it is.
	UserData func(ctx context.Context, property string) ([]byte, error)
	// Grace is how long a server may take to power off before it is killed. Default 30 s.
	Grace time.Duration
	// Nspawn is the path of systemd-nspawn. Default: found in PATH.
	Nspawn string
	Log    *slog.Logger // default: discards
}

// Compute is the local Nova and Cinder. It is safe for concurrent use, by several processes too.
type Compute struct{ Config }

var prefixForm = regexp.MustCompile(`^[a-z]{1,7}$`)

// New returns a Compute. It touches nothing on the host yet.
func New(cfg Config) (*Compute, error) {
	if cfg.Prefix == "" {
		cfg.Prefix = "slip"
	}
	switch {
	case cfg.Store == nil, cfg.Launcher == nil, cfg.Network == nil, cfg.Ignition == nil, cfg.Image == nil:
		return nil, fmt.Errorf("local compute: object store, launcher, network, Ignition and images are required")
	case !filepath.IsAbs(cfg.Dir):
		return nil, fmt.Errorf("local compute: directory %q is no absolute path", cfg.Dir)
	case !prefixForm.MatchString(cfg.Prefix):
		return nil, fmt.Errorf("local compute: prefix %q is not 1 to 7 lower case letters", cfg.Prefix)
	}
	if cfg.Nspawn == "" {
		path, err := exec.LookPath("systemd-nspawn")
		if err != nil {
			return nil, fmt.Errorf("local compute: install the package systemd-container: %w", err)
		}
		cfg.Nspawn = path
	}
	if cfg.Grace == 0 {
		cfg.Grace = 30 * time.Second
	}
	if cfg.UserData == nil {
		cfg.UserData = func(_ context.Context, property string) ([]byte, error) { return []byte(property), nil }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Compute{cfg}, nil
}

// Types returns the resource types of this package by name.
func (c *Compute) Types() map[string]cloud.Type {
	return map[string]cloud.Type{
		"OS::Nova::Server":   serverType{c},
		"OS::Cinder::Volume": volumeType{c},
	}
}
