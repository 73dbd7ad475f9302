package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// pageSize is how many objects are asked for at a time.
const pageSize = "200"

// list calls each for every object of a collection, a page at a time, until it returns false.
func list[T any](ctx context.Context, c *Client, path string, query url.Values, each func(*T) bool) error {
	asked := url.Values{"limit": {pageSize}}
	for name, values := range query {
		asked[name] = values
	}
	for {
		var page struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []json.RawMessage `json:"items"`
		}
		if err := c.request(ctx, http.MethodGet, path+"?"+asked.Encode(), "", nil, &page); err != nil {
			return fmt.Errorf("list %s: %w", path, err)
		}
		for _, raw := range page.Items {
			item := new(T)
			if err := json.Unmarshal(raw, item); err != nil {
				return fmt.Errorf("list %s: %w", path, err)
			}
			if !each(item) {
				return nil
			}
		}
		if page.Metadata.Continue == "" {
			return nil
		}
		asked.Set("continue", page.Metadata.Continue)
	}
}
