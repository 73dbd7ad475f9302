package testcloud

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
)

type message struct {
	id   string
	body json.RawMessage
}

// ZaqarSection is os-collect-config for ZAQAR_MESSAGE.
func (c *Cloud) ZaqarSection() map[string]any {
	return map[string]any{"collectors": []string{"zaqar", "local"}, "zaqar": map[string]any{
		"user_id": serverID, "password": "server-password", "auth_url": c.AuthURL(), "project_id": Project,
		"queue_id": Queue, "region_name": Region,
	}}
}

// Queued counts the messages of a queue.
func (c *Cloud) Queued(queue string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queues[queue])
}

// post adds a message. The caller holds mu.
func (c *Cloud) post(queue string, body json.RawMessage) string {
	id := uuid.NewString()
	c.queues[queue] = append(c.queues[queue], message{id, body})
	return id
}

func (c *Cloud) messages(w http.ResponseWriter, r *http.Request) {
	kind := map[string]string{http.MethodGet: ZaqarList, http.MethodDelete: ZaqarClear, http.MethodPost: ZaqarPost}[r.Method]
	if !c.enter(w, kind) || c.user(w, r) == "" {
		return
	}
	if _, err := uuid.Parse(r.Header.Get("Client-ID")); err != nil || r.Header.Get("X-Project-ID") != Project {
		http.Error(w, `{"title":"Bad request","description":"Client-ID and X-Project-ID"}`, http.StatusBadRequest)
		return
	}
	queue := r.PathValue("queue")
	switch r.Method {
	case http.MethodGet:
		c.list(w, r, queue)
	case http.MethodDelete:
		ids := strings.Split(r.URL.Query().Get("ids"), ",")
		c.mu.Lock()
		c.queues[queue] = slices.DeleteFunc(c.queues[queue], func(m message) bool { return slices.Contains(ids, m.id) })
		c.bump()
		c.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	case http.MethodPost:
		c.take(w, r, queue)
	}
}

func (c *Cloud) list(w http.ResponseWriter, r *http.Request, queue string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := []map[string]any{}
	limit := 10
	_, _ = fmt.Sscan(r.URL.Query().Get("limit"), &limit)
	if limit > 20 {
		http.Error(w, `{"description":"Limit must be at least 1 and may not be greater than 20."}`, http.StatusBadRequest)
		return
	}
	marker := r.URL.Query().Get("marker")
	skip := marker != ""
	for _, m := range c.queues[queue] {
		if skip {
			skip = m.id != marker
			continue
		}
		if len(out) == limit {
			break
		}
		out = append(out, map[string]any{"id": m.id, "href": "/v2/queues/" + queue + "/messages/" + m.id, "ttl": 3600, "age": 1, "body": m.body})
	}
	write(w, http.StatusOK, map[string]any{"messages": out, "links": []any{}})
}

// take stores a signal and has Heat pop it at once.
func (c *Cloud) take(w http.ResponseWriter, r *http.Request, queue string) {
	var body struct {
		Messages []struct {
			Body json.RawMessage `json:"body"`
			TTL  int             `json:"ttl"`
		} `json:"messages"`
	}
	if !read(w, r, &body) {
		return
	}
	if len(body.Messages) != 1 || body.Messages[0].TTL < 60 {
		http.Error(w, `{"description":"messages"}`, http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	id := c.post(queue, body.Messages[0].Body)
	c.mu.Unlock()
	write(w, http.StatusCreated, map[string]any{"resources": []string{"/v2/queues/" + queue + "/messages/" + id}})
	var details map[string]any
	if json.Unmarshal(body.Messages[0].Body, &details) == nil {
		c.judge(strings.TrimPrefix(queue, "queue-"), details)
	}
}
