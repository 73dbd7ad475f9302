package join

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
	"go.yaml.in/yaml/v3"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/protocol"
)

// ReadConfig reads the agent's configuration. Unknown and missing fields are terminal errors.
func ReadConfig(path string) (protocol.AgentConfig, error) { return readConfig(path, false) }

// readConfig reads the configuration; alone lets it name no control plane, and then nothing of one.
func readConfig(path string, alone bool) (protocol.AgentConfig, error) {
	var config protocol.AgentConfig
	raw, err := os.ReadFile(path)
	if err != nil {
		return config, fmt.Errorf("read the agent's configuration: %w", err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	if err := dec.Decode(&config); err != nil {
		return config, fault.Terminalf("%s: %w", path, err)
	}
	alone = alone && config.ControlPlane+config.CA+config.Token == ""
	for name, value := range map[string]string{"controlPlane": config.ControlPlane, "ca": config.CA, "node": config.Node} {
		if value == "" && (!alone || name == "node") {
			return config, fault.Terminalf("%s: %s is missing", path, name)
		}
	}
	if config.Bandwidth < 0 {
		return config, fault.Terminalf("%s: bandwidth %d: want bytes a second, or 0 for no bound", path, config.Bandwidth)
	}
	return config, nil
}

// AwaitConfig returns the configuration as soon as it is there and whole. Until then it watches
// the directory; a file that cannot be used yet is reported once per change and waited for.
func AwaitConfig(ctx context.Context, path string, log *slog.Logger) (protocol.AgentConfig, error) {
	return awaitConfig(ctx, path, false, log)
}

// AwaitConfigAlone is AwaitConfig for an agent that can do without a control plane: a
// configuration that names nothing but the node is whole.
func AwaitConfigAlone(ctx context.Context, path string, log *slog.Logger) (protocol.AgentConfig, error) {
	return awaitConfig(ctx, path, true, log)
}

func awaitConfig(ctx context.Context, path string, alone bool, log *slog.Logger) (protocol.AgentConfig, error) {
	if config, err := readConfig(path, alone); err == nil {
		return config, nil
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return protocol.AgentConfig{}, fmt.Errorf("watch for %s: %w", path, err)
	}
	defer func() { _ = watcher.Close() }()
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return protocol.AgentConfig{}, fmt.Errorf("watch for %s: %w", path, err)
	}
	if err := watcher.Add(dir); err != nil {
		return protocol.AgentConfig{}, fmt.Errorf("watch for %s: %w", path, err)
	}
	for {
		config, err := readConfig(path, alone)
		if err == nil {
			return config, nil
		}
		if errors.Is(err, fs.ErrNotExist) {
			log.Info("waiting for the agent's configuration", "path", path)
		} else {
			log.Warn("the agent's configuration cannot be used yet", "error", err)
		}
		if err := nextEvent(ctx, watcher, path); err != nil {
			return protocol.AgentConfig{}, err
		}
	}
}

// nextEvent waits for a change of path.
func nextEvent(ctx context.Context, watcher *fsnotify.Watcher, path string) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-watcher.Errors:
			return fmt.Errorf("watch for %s: %w", path, err)
		case event := <-watcher.Events:
			if event.Name == path && !event.Has(fsnotify.Chmod) {
				return nil
			}
		}
	}
}
