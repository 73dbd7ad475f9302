package ignition

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway.build/slipway/agent/protocol"
)

var update = flag.Bool("update", false, "write golden files")

func node() Node {
	return Node{
		Hostname:       "k8s-xyz-master-0",
		Agent:          protocol.AgentConfig{ControlPlane: "https://172.29.0.1:9512", CA: "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", Node: "6f1c", Token: "one-time"},
		AuthorizedKeys: []string{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBSlipwaySlipwaySlipwaySlipwaySlipwaySlip my_keypair\n"},
	}
}

func TestTheUserDataOfANodeAreTheSameBytesEachTime(t *testing.T) {
	got, err := UserData(node())
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "userdata.json")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("user data are now\n%s\nwant\n%s\n(go test -update accepts it)", got, want)
	}
}

func TestANodeThatCannotJoinGetsNoUserData(t *testing.T) {
	for name, change := range map[string]func(*Node){
		"no token":                   func(n *Node) { n.Agent.Token = "" },
		"no control plane":           func(n *Node) { n.Agent.ControlPlane = "" },
		"no CA":                      func(n *Node) { n.Agent.CA = "" },
		"no host name":               func(n *Node) { n.Hostname = "" },
		"a host name that is a path": func(n *Node) { n.Hostname = "a/b" },
		"capital letters":            func(n *Node) { n.Hostname = "Node" },
		"an empty label":             func(n *Node) { n.Hostname = "a..b" },
		"a label that ends bad":      func(n *Node) { n.Hostname = "a-" },
	} {
		t.Run(name, func(t *testing.T) {
			n := node()
			change(&n)
			if _, err := UserData(n); err == nil {
				t.Error("accepted")
			}
		})
	}
	n := node()
	n.Agent.CA = strings.Repeat("x", MaxSize)
	if _, err := UserData(n); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a node of %d bytes: %v", MaxSize, err)
	}
}

func TestWhatIgnitionWouldRefuseOrWarnOfIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"another version":  `{"ignition":{"version":"9.9.9"}}`,
		"an unknown key":   `{"ignition":{"version":"3.3.0"},"colour":"red"}`,
		"a path twice":     `{"ignition":{"version":"3.3.0"},"storage":{"files":[{"path":"/a"},{"path":"/a"}]}}`,
		"a relative path":  `{"ignition":{"version":"3.3.0"},"storage":{"files":[{"path":"a"}]}}`,
		"no JSON":          `hello`,
		"nothing":          ``,
		"a shell script":   "#!/bin/sh\n",
		"a file too large": `{"ignition":{"version":"3.3.0"}}` + strings.Repeat(" ", MaxSize),
	} {
		t.Run(name, func(t *testing.T) {
			if err := Validate([]byte(text)); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func FuzzValidate(f *testing.F) {
	if data, err := UserData(node()); err == nil {
		f.Add(data)
	}
	f.Fuzz(func(_ *testing.T, data []byte) { _ = Validate(data) })
}
