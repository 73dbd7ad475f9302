package notify

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/heat/keystone"
	"slipway.build/slipway/agent/heat/metadata"
	"slipway.build/slipway/agent/heat/rest"
)

// zaqarTTL is how long a message of ours may lie in a queue, in seconds (heat-config-notify).
const zaqarTTL = 600

// Sender sends signals.
type Sender struct {
	HTTP     *rest.Client
	Keystone *keystone.Client
	ClientID string // UUID of this process, as Zaqar wants one
}

// Send sends a signal once and returns nil when it was accepted, which with Heat means no more
// than that it has arrived: a thread of the engine takes it up later.
func (s *Sender) Send(ctx context.Context, t Target, payload []byte) error {
	switch t.Transport {
	case None:
		return nil
	case CFN, TempURL:
		_, err := s.HTTP.Do(ctx, rest.Request{
			Method: t.Verb, URL: t.URL, Body: payload, Header: map[string]string{"Content-Type": "application/json"},
		})
		return err
	case Heat:
		_, err := s.Keystone.Call(ctx, t.Credentials, keystone.Orchestration, t.Region, http.MethodPost,
			metadata.ResourcePath(t.Stack, t.Resource)+"/signal", payload, nil)
		return err
	case Zaqar:
		return s.post(ctx, t, payload)
	}
	return fault.Terminalf("signal transport %q is not known", t.Transport)
}

func (s *Sender) post(ctx context.Context, t Target, payload []byte) error {
	type message struct {
		Body json.RawMessage `json:"body"`
		TTL  int             `json:"ttl"`
	}
	body, err := json.Marshal(map[string][]message{"messages": {{Body: payload, TTL: zaqarTTL}}})
	if err != nil {
		return fault.Terminalf("a message for queue %s: %w", t.Queue, err)
	}
	_, err = s.Keystone.Call(ctx, t.Credentials, keystone.Messaging, t.Region, http.MethodPost,
		"/v2/queues/"+url.PathEscape(t.Queue)+"/messages", body,
		map[string]string{"Client-ID": s.ClientID, "X-Project-ID": t.Credentials.ProjectID})
	return err
}
