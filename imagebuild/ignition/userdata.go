package ignition

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/coreos/ignition/v2/config/util"
	"github.com/coreos/ignition/v2/config/v3_3"
	"github.com/coreos/ignition/v2/config/v3_3/types"
	"github.com/vincent-petithory/dataurl"
	"go.yaml.in/yaml/v3"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
)

// MaxSize is how many bytes of user data Nova accepts: 65535 of base64.
const MaxSize = 49149

// User is the account on a node that people log in to: Fedora CoreOS's own.
const User = "core"

// Node is what goes into the user data of one node.
type Node struct {
	Hostname string
	Agent    protocol.AgentConfig
	// AuthorizedKeys are public keys for User, in authorized_keys form.
	AuthorizedKeys []string
}

// ErrTooLarge is what UserData's error wraps when the result exceeds MaxSize.
var ErrTooLarge = errors.New("user data is larger than Nova accepts")

var hostname = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)

// UserData returns the user data for the node: the same bytes for the same node.
func UserData(n Node) ([]byte, error) {
	if !hostname.MatchString(n.Hostname) || len(n.Hostname) > 64 {
		return nil, fmt.Errorf("user data: host name %q is none", n.Hostname)
	}
	for field, value := range map[string]string{"controlPlane": n.Agent.ControlPlane, "ca": n.Agent.CA, "node": n.Agent.Node, "token": n.Agent.Token} {
		if value == "" {
			return nil, fmt.Errorf("user data for %s: the agent's configuration has no %s", n.Hostname, field)
		}
	}
	agent, err := yaml.Marshal(n.Agent)
	if err != nil {
		return nil, fmt.Errorf("user data for %s: %w", n.Hostname, err)
	}
	config := types.Config{
		Ignition: types.Ignition{Version: types.MaxVersion.String()},
		Storage: types.Storage{Files: []types.File{
			contents(plan.AgentConfig, 0o600, agent),
			contents("/etc/hostname", 0o644, []byte(n.Hostname+"\n")),
		}},
	}
	if len(n.AuthorizedKeys) > 0 {
		user := types.PasswdUser{Name: User}
		for _, key := range n.AuthorizedKeys {
			user.SSHAuthorizedKeys = append(user.SSHAuthorizedKeys, types.SSHAuthorizedKey(strings.TrimSpace(key)))
		}
		config.Passwd.Users = []types.PasswdUser{user}
	}
	data, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("user data for %s: %w", n.Hostname, err)
	}
	if err := Validate(data); err != nil {
		return nil, fmt.Errorf("user data for %s: %w", n.Hostname, err)
	}
	return data, nil
}

// Validate checks user data with Ignition's own parser, and its size. Warnings count as errors:
// what Ignition only warns of, such as an unknown key, we did not mean.
func Validate(data []byte) error {
	if len(data) > MaxSize {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(data), MaxSize)
	}
	_, report, err := v3_3.ParseCompatibleVersion(data)
	if err != nil {
		return fmt.Errorf("ignition configuration: %w: %s", err, report.String())
	}
	if len(report.Entries) > 0 {
		return fmt.Errorf("ignition configuration: %s", report.String())
	}
	return nil
}

func contents(path string, mode int, data []byte) types.File {
	return types.File{
		Node: types.Node{Path: path, Overwrite: util.BoolToPtr(true)},
		FileEmbedded1: types.FileEmbedded1{
			Mode:     util.IntToPtr(mode),
			Contents: types.Resource{Source: util.StrToPtr(dataurl.New(data, "text/plain", "charset", "utf-8").String())},
		},
	}
}
