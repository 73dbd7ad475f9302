package heatapi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway.build/slipway/controlplane/store"
)

// maxNestedDepth bounds nested_depth; no stack of ours is deeper.
const maxNestedDepth = 10

// maxWait bounds how long a request for events may wait for the next one.
const maxWait = 60 * time.Second

func readNestedDepth(r *http.Request) (int, error) {
	text := r.URL.Query().Get("nested_depth")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, badRequest("Only integer is allowed for nested_depth, not %q.", text)
	}
	return min(n, maxNestedDepth), nil
}

// readPage reads limit, marker, sort_keys and sort_dir. The keys map Heat's names of the fields
// to sort by to the store's.
func readPage(r *http.Request, keys map[string]string) (store.Page, error) {
	query := r.URL.Query()
	p := store.Page{Marker: query.Get("marker")}
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return p, badRequest("Only integer is allowed for limit, not %q.", text)
		}
		p.Limit = n // zero is no limit, as in Heat
	}
	switch dir := query.Get("sort_dir"); dir {
	case "", "asc":
	case "desc":
		p.Descending = true
	default:
		return p, badRequest("Unexpected value for sort_dir: %q, must be asc or desc.", dir)
	}
	for _, key := range query["sort_keys"] {
		column, ok := keys[key]
		if !ok {
			return p, badRequest("Unexpected value for sort_keys: %q.", key)
		}
		p.SortKey = column // of several the last; ties go by age
	}
	return p, nil
}

// checkKeys refuses query parameters that are none of the known.
func checkKeys(r *http.Request, known ...string) error {
	var unknown []string
	for key := range r.URL.Query() {
		if !slices.Contains(known, key) {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	return badRequest("Invalid filter parameters %s", strings.Join(unknown, ", "))
}

func readWait(r *http.Request) (time.Duration, error) {
	text := r.URL.Query().Get("wait")
	if text == "" {
		return 0, nil
	}
	wait, err := time.ParseDuration(text)
	if err != nil || wait < 0 {
		return 0, badRequest("wait must be a duration such as 30s, not %q.", text)
	}
	return min(wait, maxWait), nil
}

// readBool reads a flag as Heat does: anything but a true value is false.
func readBool(r *http.Request, name string) bool {
	switch strings.ToLower(r.URL.Query().Get(name)) {
	case "1", "t", "true", "on", "y", "yes":
		return true
	}
	return false
}
