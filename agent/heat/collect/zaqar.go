package collect

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"slipway.build/slipway/agent/heat/keystone"
	"slipway.build/slipway/agent/heat/metadata"
)

// Zaqar takes whole documents from a queue (transport ZAQAR_MESSAGE). The newest counts. Messages
// leave the queue only when the newest is durable on this machine: os-collect-config pops, and
// forgets the news when it dies before it has acted.
type Zaqar struct {
	Keystone *keystone.Client
	ClientID string // UUID of this process, as Zaqar wants one
}

// Bounds of a collection. Zaqar's default limit of a page is 20 messages (max_messages_per_page).
const (
	zaqarPage  = 20
	zaqarPages = 50
)

// Name implements Collector.
func (*Zaqar) Name() string { return nameZaqar }

// Collect implements Collector.
func (c *Zaqar) Collect(ctx context.Context, settings metadata.Settings) (Found, error) {
	access := settings.Zaqar
	if !access.Complete() || access.QueueID == "" {
		return Found{}, ErrNotConfigured
	}
	for range zaqarPages {
		messages, err := c.list(ctx, access)
		if err != nil {
			return Found{}, err
		}
		if len(messages) == 0 {
			return Found{}, ErrUnchanged
		}
		newest := messages[len(messages)-1]
		if len(messages) < zaqarPage {
			found, err := parse(nameZaqar, newest.Body)
			if err != nil {
				// It would be in the way for ever.
				_ = c.remove(ctx, access, messages)
				return Found{}, err
			}
			found.Kept = func(ctx context.Context) error { return c.remove(ctx, access, messages) }
			return found, nil
		}
		// There may be newer ones: those before the newest of this page do not matter any more.
		if err := c.remove(ctx, access, messages[:len(messages)-1]); err != nil {
			return Found{}, err
		}
	}
	return Found{}, fmt.Errorf("queue %s never ends", access.QueueID)
}

type zaqarMessage struct {
	ID   string          `json:"id"`
	Body json.RawMessage `json:"body"`
}

func (c *Zaqar) list(ctx context.Context, access metadata.ZaqarAccess) ([]zaqarMessage, error) {
	answer, err := c.call(ctx, access, http.MethodGet, fmt.Sprintf("?limit=%d&echo=true&include_claimed=true", zaqarPage))
	if err != nil {
		return nil, err
	}
	var body struct {
		Messages []zaqarMessage `json:"messages"`
	}
	if len(answer) == 0 { // 204, in older versions
		return nil, nil
	}
	if err := into(answer, &body); err != nil {
		return nil, err
	}
	return body.Messages, nil
}

func (c *Zaqar) remove(ctx context.Context, access metadata.ZaqarAccess, messages []zaqarMessage) error {
	var ids []string
	for _, message := range messages {
		ids = append(ids, url.QueryEscape(message.ID))
	}
	_, err := c.call(ctx, access, http.MethodDelete, "?ids="+strings.Join(ids, ","))
	return err
}

func (c *Zaqar) call(ctx context.Context, access metadata.ZaqarAccess, method, query string) ([]byte, error) {
	answer, err := c.Keystone.Call(ctx, Credentials(access.Access), keystone.Messaging, access.Region, method,
		"/v2/queues/"+url.PathEscape(access.QueueID)+"/messages"+query, nil,
		map[string]string{"Client-ID": c.ClientID, "X-Project-ID": access.ProjectID})
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}
