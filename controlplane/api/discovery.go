package api

import "net/http"

// resources are the collections that discovery names: key and path below /v1.
var discovered = []struct{ name, path string }{
	{"clustertemplates", "clustertemplates"},
	{"clusters", "clusters"},
	{"certificates", "certificates"},
	{"nodegroups", "clusters/{cluster_id}/nodegroups"},
}

// versions answers GET /.
func (s *server) versions(w http.ResponseWriter, r *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]any{
		"name":        "OpenStack Magnum API",
		"description": "Magnum is an OpenStack project which aims to provide container cluster management.",
		"versions": []any{map[string]any{
			"id":          "v1",
			"status":      "CURRENT",
			"max_version": MaxVersion.String(),
			"min_version": MinVersion.String(),
			"links":       []link{{HRef: baseOf(r) + "/v1/", Rel: "self"}},
		}},
	})
	return nil
}

// version1 answers GET /v1.
func (s *server) version1(w http.ResponseWriter, r *http.Request) error {
	base := baseOf(r)
	document := map[string]any{
		"id":          "v1",
		"media_types": []any{map[string]string{"base": "application/json", "type": "application/vnd.openstack.magnum.v1+json"}},
		"links": []any{
			link{HRef: base + "/v1/", Rel: "self"},
			map[string]string{"href": "https://docs.openstack.org/api-ref/container-infrastructure-management/", "rel": "describedby", "type": "text/html"},
		},
	}
	for _, resource := range discovered {
		document[resource.name] = []link{
			{HRef: base + "/v1/" + resource.path + "/", Rel: "self"},
			{HRef: base + "/" + resource.path + "/", Rel: "bookmark"},
		}
	}
	writeJSON(w, http.StatusOK, document)
	return nil
}

// healthcheck answers GET /healthcheck as oslo.middleware's does.
func healthcheck(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	_, _ = w.Write([]byte("OK")) // the client may have gone; there is nobody to tell
}
