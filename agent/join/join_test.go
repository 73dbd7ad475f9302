package join_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/join"
	"slipway.build/slipway/agent/nodeapi"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/testplane"
)

const (
	nodeID = "5f0c54a4-4d0c-4a3e-9d39-0d8f2a51f2aa"
	whole  = "controlPlane: https://127.0.0.1:1\nnode: " + nodeID + "\ntoken: t\nca: pem\n"
)

func TestAConfigurationIsWaitedForUntilItIsWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slipway", "agent.yaml")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got := make(chan protocol.AgentConfig, 1)
	go func() {
		config, err := join.AwaitConfig(ctx, path, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Error(err)
		}
		got <- config
	}()
	for _, content := range []string{"", "controlPlane: [", "node: x\n", "unknown: y\n", whole} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if config := <-got; config.Node != nodeID || config.Token != "t" {
		t.Errorf("read %+v", config)
	}
}

func TestBadConfigurationsAreTerminal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.yaml")
	for name, content := range map[string]string{
		"unknown field":             whole + "shell: true\n",
		"a bandwidth below nothing": whole + "bandwidth: -1\n",
		"no node":                   "controlPlane: a\nca: b\n",
		"not YAML":                  "{",
		"empty":                     "",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := join.ReadConfig(path); !fault.IsTerminal(err) {
			t.Errorf("%s: error %v, want a terminal one", name, err)
		}
	}
}

func TestAnIdentityIsMadeOnceAndKeptPrivate(t *testing.T) {
	plane := testplane.New(t)
	dir := filepath.Join(t.TempDir(), "identity")
	config := protocol.AgentConfig{ControlPlane: plane.URL, CA: plane.CA, Node: nodeID, Token: testplane.Token}
	api, err := nodeapi.New(plane.URL, plane.CA, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	enter := func() (*join.Identity, error) {
		return join.Join(t.Context(), dir, config, api, slog.New(slog.DiscardHandler))
	}
	first, err := enter()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"key.pem", "identity.json"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	plane.Close()
	second, err := enter() // without the control plane
	if err != nil {
		t.Fatal(err)
	}
	one, _ := first.Certificate()
	two, _ := second.Certificate()
	if string(one.Certificate[0]) != string(two.Certificate[0]) || len(second.PlanKeys()) != 1 {
		t.Error("the identity changed")
	}
}

func TestAWrongTokenIsRefusedForGood(t *testing.T) {
	plane := testplane.New(t)
	api, err := nodeapi.New(plane.URL, plane.CA, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	config := protocol.AgentConfig{ControlPlane: plane.URL, CA: plane.CA, Node: nodeID, Token: "wrong"}
	_, err = join.Join(t.Context(), t.TempDir(), config, api, slog.New(slog.DiscardHandler))
	if !fault.IsTerminal(err) || !nodeapi.IsProblem(err, "token-invalid") {
		t.Errorf("error %v", err)
	}
}

func TestAControlPlaneOfAnotherAuthorityIsNotBelieved(t *testing.T) {
	plane, other := testplane.New(t), testplane.New(t)
	api, err := nodeapi.New(plane.URL, other.CA, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	config := protocol.AgentConfig{ControlPlane: plane.URL, CA: other.CA, Node: nodeID, Token: testplane.Token}
	if _, err := join.Join(ctx, t.TempDir(), config, api, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("the token was given to a stranger")
	}
}
