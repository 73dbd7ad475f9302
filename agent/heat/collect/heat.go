package collect

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"slipway.build/slipway/agent/heat/keystone"
	"slipway.build/slipway/agent/heat/metadata"
)

// Heat polls the metadata of the server's resource (transport POLL_SERVER_HEAT).
type Heat struct {
	Keystone *keystone.Client

	last memory
}

// Name implements Collector.
func (*Heat) Name() string { return nameHeat }

// Collect implements Collector.
func (c *Heat) Collect(ctx context.Context, settings metadata.Settings) (Found, error) {
	access := settings.Heat
	if !access.Complete() || access.StackID == "" || access.ResourceName == "" {
		c.last.forget()
		return Found{}, ErrNotConfigured
	}
	answer, err := c.Keystone.Call(ctx, Credentials(access.Access), keystone.Orchestration, access.Region,
		http.MethodGet, metadata.ResourcePath(access.StackID, access.ResourceName)+"/metadata", nil, nil)
	if err != nil {
		return Found{}, err
	}
	if c.last.same(access, answer.Body) {
		return Found{}, ErrUnchanged
	}
	found, err := c.read(access, answer.Body)
	if err != nil {
		c.last.forget()
	}
	return found, err
}

func (c *Heat) read(access metadata.HeatAccess, answer []byte) (Found, error) {
	var body struct {
		Metadata json.RawMessage `json:"metadata"`
	}
	if err := into(answer, &body); err != nil {
		return Found{}, fmt.Errorf("metadata of %s: %w", access.ResourceName, err)
	}
	return parse(nameHeat, body.Metadata)
}

// Credentials are what a section says for Keystone.
func Credentials(a metadata.Access) keystone.Credentials {
	return keystone.Credentials{AuthURL: a.AuthURL, UserID: a.UserID, Password: a.Password, ProjectID: a.ProjectID}
}
