package api

import "net/http"

// link is one of the links that Magnum's objects carry.
type link struct {
	HRef string `json:"href"`
	Rel  string `json:"rel"`
}

// baseOf returns the address under which the client reached us.
func baseOf(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

func objectLinks(base, resource, id string) []link {
	return []link{
		{HRef: base + "/v1/" + resource + "/" + id, Rel: "self"},
		{HRef: base + "/" + resource + "/" + id, Rel: "bookmark"},
	}
}
