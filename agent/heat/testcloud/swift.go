package testcloud

import (
	"encoding/json"
	"io"
	"net/http"
	"path"
	"time"
)

type object struct {
	content  []byte
	modified time.Time
}

const metadataObject = "/swift/v1/AUTH_x/container/metadata"

// RequestSection is os-collect-config for POLL_TEMP_URL.
func (c *Cloud) RequestSection() map[string]any {
	return map[string]any{"collectors": []string{"request", "local"}, "request": map[string]any{
		"metadata_url": c.URL + metadataObject + "?temp_url_sig=s&temp_url_expires=2147483646",
	}}
}

// push brings the document to where servers that do not poll Heat look for it.
func (c *Cloud) push() {
	raw := c.Document()
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.swift[metadataObject].modified
	c.swift[metadataObject] = object{raw, now}
	if !now.Truncate(time.Second).After(before.Truncate(time.Second)) {
		// Swift's Last-Modified has whole seconds; a change must be seen within one.
		c.swift[metadataObject] = object{raw, before.Truncate(time.Second).Add(time.Second)}
	}
	c.post(Queue, raw)
	c.bump()
}

func (c *Cloud) object(w http.ResponseWriter, r *http.Request) {
	kind := map[string]string{http.MethodHead: SwiftHead, http.MethodGet: SwiftGet, http.MethodPut: SwiftPut}[r.Method]
	if !c.enter(w, kind) {
		return
	}
	if r.URL.Query().Get("temp_url_sig") != "s" {
		http.Error(w, "401 Unauthorized: Temp URL invalid", http.StatusUnauthorized)
		return
	}
	if r.Method == http.MethodPut {
		c.put(w, r)
		return
	}
	c.mu.Lock()
	found, ok := c.swift[r.URL.Path]
	c.mu.Unlock()
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Last-Modified", found.modified.UTC().Format(http.TimeFormat))
	_, _ = w.Write(found.content)
}

// put stores a signal, and has Heat look at it as it does when the deployment is shown.
func (c *Cloud) put(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	var details map[string]any
	if err != nil || json.Unmarshal(raw, &details) != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	modified := c.now()
	w.WriteHeader(http.StatusCreated)
	c.mu.Lock()
	c.swift[r.URL.Path] = object{raw, modified}
	resource := ""
	for _, d := range c.deployments {
		// Heat ignores an object that is not newer than its own record, to the second.
		if d.ID == path.Base(r.URL.Path) && modified.Truncate(time.Second).After(d.updated) {
			resource = d.Resource
		}
	}
	c.bump()
	c.mu.Unlock()
	if resource != "" {
		c.judge(resource, details)
	}
}
