package testcloud

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"unicode/utf16"

	"slipway.build/slipway/agent/heat/signature"
)

// Document is the server's metadata as JSON.
func (c *Cloud) Document() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	doc := maps.Clone(c.document)
	list := []map[string]any{}
	for _, d := range c.deployments {
		list = append(list, c.render(d))
	}
	doc["deployments"] = list
	raw, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return ascii(raw)
}

// ascii spells JSON as Python does, which Heat is written in.
func ascii(raw []byte) []byte {
	out := make([]byte, 0, len(raw))
	for _, r := range string(raw) {
		switch {
		case r < 0x80:
			out = append(out, byte(r))
		case r <= 0xffff:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		}
	}
	return out
}

// HeatSection is os-collect-config for POLL_SERVER_HEAT, with the other transports' keys that
// were there before as nulls.
func (c *Cloud) HeatSection(before ...string) map[string]any {
	section := map[string]any{"collectors": []string{"heat", "local"}, "heat": map[string]any{
		"user_id": serverID, "password": "server-password", "auth_url": c.AuthURL(), "project_id": Project,
		"stack_id": Stack, "resource_name": Server, "region_name": Region,
	}}
	for _, old := range before {
		section[old] = nulls(old)
	}
	return section
}

func nulls(transport string) map[string]any {
	out := map[string]any{}
	for _, key := range map[string][]string{
		"cfn":     {"metadata_url", "access_key_id", "secret_access_key", "stack_name", "path"},
		"request": {"metadata_url"},
		"zaqar":   {"user_id", "password", "auth_url", "project_id", "queue_id", "region_name"},
		"heat":    {"user_id", "password", "auth_url", "project_id", "stack_id", "resource_name", "region_name"},
	}[transport] {
		out[key] = nil
	}
	return out
}

// render is format_software_config of the derived configuration. The caller holds mu.
func (c *Cloud) render(d *deployment) map[string]any {
	inputs := slices.Clone(d.Inputs)
	add := func(name string, value any) {
		inputs = append(inputs, map[string]any{"name": name, "type": "String", "value": value, "description": "x", "default": nil})
	}
	add("deploy_server_id", "2f5c2b3e-0000-4000-8000-000000000001")
	add("deploy_action", d.Action)
	add("deploy_stack_id", Stack)
	add("deploy_resource_name", d.Resource)
	add("deploy_signal_transport", d.Transport)
	switch d.Transport {
	case CFNSignals:
		add("deploy_signal_id", c.signedURL(d))
		add("deploy_signal_verb", "POST")
	case TempURLSignal:
		add("deploy_signal_id", c.URL+"/swift/v1/AUTH_x/container/"+d.ID+"?temp_url_sig=s&temp_url_expires=2147483646")
		add("deploy_signal_verb", "PUT")
	case HeatSignal, ZaqarSignal:
		add("deploy_auth_url", c.AuthURL())
		add("deploy_username", "name-"+d.Resource)
		add("deploy_user_id", "user-"+d.Resource)
		add("deploy_password", "password-of-"+d.Resource)
		add("deploy_project_id", Project)
		add("deploy_region_name", Region)
	}
	if d.Transport == ZaqarSignal {
		add("deploy_queue_id", "queue-"+d.Resource)
	}
	doc := map[string]any{
		"id": d.ID, "name": d.Name, "group": d.Group, "creation_time": "2026-01-02T03:04:05Z",
		"config": d.Config, "inputs": inputs, "outputs": nil, "options": nil,
	}
	if d.Outputs != nil {
		doc["outputs"] = d.Outputs
	}
	if d.Options != nil {
		doc["options"] = d.Options
	}
	return doc
}

// signedURL is what Heat signs beforehand for CFN_SIGNAL.
func (c *Cloud) signedURL(d *deployment) string {
	base, err := url.Parse(c.URL)
	if err != nil {
		panic(err)
	}
	path := "/cfn/v1/signal/arn:openstack:heat::" + Project + ":stacks/" + Stack + "/resources/" + d.Resource
	query := map[string]string{
		"SignatureMethod": "HmacSHA256", "SignatureVersion": "2", "AWSAccessKeyId": accessKey,
		"Timestamp": d.SignedAt.UTC().Format("2006-01-02T15:04:05Z"),
	}
	query["Signature"] = signature.Sign(secretKey, "POST", base.Host, path, query)
	values := url.Values{}
	for key, value := range query {
		values.Set(key, value)
	}
	return c.URL + (&url.URL{Path: path}).EscapedPath() + "?" + values.Encode()
}
