package api

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"slipway.build/slipway/controlplane/store"
)

// maxLimit is the largest page, and the page of a request without a limit: Magnum's max_limit.
const maxLimit = 1000

// page is what a list request asks for.
type page struct {
	limit   int
	marker  string
	sortKey string
	sortDir string
}

// readPage reads the parameters of a list whose items can be sorted by the keys, beside id.
func readPage(r *http.Request, keys ...string) (page, error) {
	query := r.URL.Query()
	p := page{limit: maxLimit, marker: query.Get("marker"), sortKey: "id", sortDir: "asc"}
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return page{}, invalidField("limit", text, "Wrong type. Expected an integer.")
		}
		if n <= 0 {
			return page{}, badRequest("Limit must be positive")
		}
		p.limit = min(n, maxLimit)
	}
	if text := query.Get("sort_key"); text != "" {
		p.sortKey = text
	}
	if p.sortKey != "id" && !slices.Contains(keys, p.sortKey) {
		return page{}, badRequest("The sort_key value \"%s\" is an invalid field for sorting", shown(p.sortKey))
	}
	if text := query.Get("sort_dir"); text != "" {
		p.sortDir = text
	}
	if p.sortDir != "asc" && p.sortDir != "desc" {
		return page{}, badRequest("Invalid sort direction: %s. Acceptable values are 'asc' or 'desc'", shown(p.sortDir))
	}
	return p, nil
}

// stored is the page as the store takes it.
func (p page) stored() store.Page {
	s := store.Page{Limit: p.limit, Marker: p.marker, Descending: p.sortDir == "desc"}
	if p.sortKey != "id" {
		s.SortKey = p.sortKey
	}
	return s
}

// next returns the address of the page after one that ends with last, or "" when the page was
// not full.
func (p page) next(base, resource string, got int, last string) string {
	if got == 0 || got < p.limit {
		return ""
	}
	query := url.Values{"sort_key": {p.sortKey}, "sort_dir": {p.sortDir}, "limit": {strconv.Itoa(p.limit)}, "marker": {last}}
	return base + "/v1/" + resource + "?" + query.Encode()
}

// writeCollection answers with a page of a collection.
func writeCollection(w http.ResponseWriter, name string, items any, next string) {
	body := map[string]any{name: items}
	if next != "" {
		body["next"] = next
	}
	writeJSON(w, http.StatusOK, body)
}
