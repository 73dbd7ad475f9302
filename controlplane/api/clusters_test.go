package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"slipway.build/slipway/controlplane/store"
)

// paperRequest is the white paper's request.
const paperRequest = `{"name":"k8s","discovery_url":null,"master_count":3,"cluster_template_id":"0562d357-8641-4759-8fed-8173f02c9633",
"node_count":3,"create_timeout":60,"keypair":"my_keypair","master_flavor_id":null,"labels":{},"flavor_id":null}`

func TestPaperRequestIsAcceptedAndCommittedWhole(t *testing.T) {
	h := newHarness(t)
	a := h.do("POST", "/v1/clusters", paperRequest)
	h.golden("cluster-create", a)
	var made struct{ UUID string }
	if err := json.Unmarshal(a.body, &made); err != nil {
		t.Fatal(err)
	}
	h.golden("cluster-show", h.do("GET", "/v1/clusters/"+made.UUID, "", latest...))
	h.golden("cluster-list", h.do("GET", "/v1/clusters", ""))
	h.golden("nodegroup-list", h.do("GET", "/v1/clusters/k8s/nodegroups/", "", latest...))
	h.golden("nodegroup-show", h.do("GET", "/v1/clusters/k8s/nodegroups/default-master", "", latest...))
	operations, err := h.store.Operations(t.Context(), made.UUID)
	if err != nil || len(operations) != 1 || operations[0].Kind != OperationCreate || operations[0].State != store.OperationQueued || operations[0].Actor != "user:local" {
		t.Errorf("operations %+v, %v", operations, err)
	}
	events, err := h.store.Events(t.Context(), store.EventFilter{Cluster: made.UUID}, store.Page{})
	if err != nil || len(events) != 1 || events[0].Status != store.CreateInProgress || events[0].Actor != "user:local" {
		t.Errorf("events %+v, %v", events, err)
	}
}

func TestBadCreateRequestsNameTheFieldAndChangeNothing(t *testing.T) {
	h := newHarness(t)
	h.create("there")
	with := func(changes string) string {
		request := map[string]any{"name": "k8s", "cluster_template_id": ProductionTemplateID, "keypair": "my_keypair", "master_count": 3, "node_count": 3}
		var change map[string]any
		if err := json.Unmarshal([]byte(changes), &change); err != nil {
			t.Fatal(err)
		}
		for k, v := range change {
			request[k] = v
		}
		text, err := json.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, c := range []struct {
		name    string
		body    string
		headers []string
		status  int
		detail  string // part of the detail
	}{
		{"an unknown field", with(`{"frobnicate":1}`), nil, 400, "Unknown attribute: frobnicate"},
		{"two unknown fields", with(`{"b":1,"a":1}`), nil, 400, "Unknown attributes: a, b"},
		{"a field that only the server sets", with(`{"status":"CREATE_COMPLETE"}`), nil, 400, "attribute status. Value: 'CREATE_COMPLETE'. Cannot set read only field."},
		{"a bad name", with(`{"name":"1 k8s"}`), nil, 400, "attribute name. Value: '1 k8s'. Value should match the pattern"},
		{"an empty name", with(`{"name":""}`), nil, 400, "attribute name."},
		{"a name that is too long", with(`{"name":"` + strings.Repeat("k", 243) + `"}`), nil, 400, "attribute name."},
		{"a name that is a number", with(`{"name":5}`), nil, 400, "attribute name. Value: '5'. Wrong type."},
		{"two masters", with(`{"master_count":2}`), nil, 400, "master nodegroup size of 2 is invalid, size cannot be an even number."},
		{"no master", with(`{"master_count":0}`), nil, 400, "attribute master_count. Value: '0'. Value should be greater or equal to 1"},
		{"a negative count", with(`{"node_count":-1}`), nil, 400, "attribute node_count. Value: '-1'. Value should be greater or equal to 0"},
		{"a count that is no integer", with(`{"node_count":1.5}`), nil, 400, "attribute node_count. Value: '1.5'. Wrong type."},
		{"a count that overflows", with(`{"node_count":99999999999999999999}`), nil, 400, "attribute node_count."},
		{"zero nodes before 1.10", with(`{"node_count":0}`), []string{versionHeader, "container-infra 1.9"}, 400, "Resizing a nodegroup to zero is not supported in the provided microversion."},
		{"an unknown template", with(`{"cluster_template_id":"nope"}`), nil, 400, "ClusterTemplate nope could not be found."},
		{"an unknown template up to 1.9", with(`{"cluster_template_id":"nope"}`), []string{versionHeader, "container-infra 1.9"}, 400, "ClusterTemplate nope could not be found."},
		{"an unknown template from 1.10", with(`{"cluster_template_id":"nope"}`), []string{versionHeader, "container-infra 1.10"}, 404, "ClusterTemplate nope could not be found."},
		{"no template", `{"name":"k8s"}`, nil, 400, "attribute cluster_template_id. Value: 'None'. Mandatory field missing."},
		{"an unknown key pair", with(`{"keypair":"nope"}`), nil, 404, "Unable to find keypair nope."},
		{"an unknown flavor", with(`{"flavor_id":"nope"}`), nil, 400, "Unable to find flavor nope."},
		{"an unknown master flavor", with(`{"master_flavor_id":"nope"}`), nil, 400, "Unable to find flavor nope."},
		{"an unknown network", with(`{"fixed_network":"nope"}`), nil, 400, "Unable to find fixed network nope."},
		{"three masters without a load balancer", with(`{"master_lb_enabled":false}`), nil, 400, "master_count must be 1 when master_lb_enabled is False"},
		{"labels that are a list", with(`{"labels":["a"]}`), nil, 400, "attribute labels."},
		{"a label that is an object", with(`{"labels":{"kube_tag":{}}}`), nil, 400, "attribute labels.kube_tag."},
		{"a Kubernetes that is not there", with(`{"labels":{"kube_tag":"v1.36.2"}}`), nil, 400, "Label kube_tag: there are no images of Kubernetes v1.36.2. Available are v1.35.4, v1.36.1, v1.36.3."},
		{"an image verifier that there is not", with(`{"labels":{"image_verifier":"strict"}}`), nil, 400, "The cluster's label image_verifier: \"strict\" is none of off, scoped, enforce."},
		{"a verifier's list that no one reads", with(`{"labels":{"image_verifier":"scoped","image_verifier_allow":"r.example.org"}}`), nil, 400, "label image_verifier_allow: it means something only where image_verifier is enforce."},
		{"a verifier's list of something else", with(`{"labels":{"image_verifier":"enforce","image_verifier_allow":"https://r.example.org"}}`), nil, 400, "label image_verifier_allow: \"https://r.example.org\" is no registry with a path"},
		{"a flag that is no flag", with(`{"merge_labels":"maybe"}`), nil, 400, "attribute merge_labels. Value: 'maybe'."},
		{"a negative timeout", with(`{"create_timeout":-1}`), nil, 400, "attribute create_timeout."},
		{"malformed JSON", `{"name":`, nil, 400, "Request is not in valid JSON format: it ends too early."},
		{"an empty body", ``, nil, 400, "Request is not in valid JSON format: it ends too early."},
		{"a list", `[]`, nil, 400, "Request is not in valid JSON format: expected an object."},
		{"two objects", `{}{}`, nil, 400, "Request is not in valid JSON format: there is something after the object."},
		{"a field twice", `{"name":"a","name":"b"}`, nil, 400, "Request is not in valid JSON format: name is given twice."},
		{"bytes that are not UTF-8", "{\"name\":\"\xff\"}", nil, 400, "it is not UTF-8."},
		{"a body of 10 MB", `{"name":"` + strings.Repeat("k", 10<<20) + `"}`, nil, 413, "Request is too large."},
		{"a form", `name=k8s`, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "Unsupported media type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := h.dump()
			a := h.do("POST", "/v1/clusters", c.body, c.headers...)
			checkProblem(t, a, c.status, c.detail)
			if after := h.dump(); after != before {
				t.Errorf("the database has changed from\n%s\nto\n%s", before, after)
			}
		})
	}
}

// checkProblem demands Magnum's error body.
func checkProblem(t *testing.T, a answer, status int, detail string) {
	t.Helper()
	var body struct {
		Errors []struct {
			RequestID string `json:"request_id"`
			Code      string
			Status    int
			Title     string
			Detail    string
			Links     []any
		}
	}
	if err := json.Unmarshal(a.body, &body); err != nil || len(body.Errors) != 1 {
		t.Fatalf("status %d, body %s: not Magnum's errors (%v)", a.status, a.body, err)
	}
	e := body.Errors[0]
	if a.status != status || e.Status != status || !strings.Contains(e.Detail, detail) {
		t.Errorf("%d %q, want %d with %q", a.status, e.Detail, status, detail)
	}
	if e.Code == "" || e.Title == "" || (!strings.HasPrefix(e.Detail, e.Title) && e.Code == "client") || e.Links == nil {
		t.Errorf("code %q, title %q, links %v", e.Code, e.Title, e.Links)
	}
	if id := a.header.Get("X-Openstack-Request-Id"); id == "" || id != e.RequestID {
		t.Errorf("request id %q in the header, %q in the body", id, e.RequestID)
	}
	if got := a.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
}

func TestCloudThatCannotBeAskedIsTheServersFault(t *testing.T) {
	h := newHarness(t)
	h.cloud.err = errors.New("connection refused by 10.1.2.3")
	before := h.dump()
	a := h.do("POST", "/v1/clusters", paperRequest)
	checkProblem(t, a, http.StatusServiceUnavailable, "Try again later.")
	if strings.Contains(string(a.body), "10.1.2.3") {
		t.Errorf("the tenant sees the cause: %s", a.body)
	}
	if h.dump() != before {
		t.Error("the database has changed")
	}
}

func TestDefaultsComeFromTheTemplate(t *testing.T) {
	h := newHarness(t)
	for name, c := range map[string]struct {
		body string
		want string // part of the detail of the cluster
	}{
		"labels of the template when none are given": {`{"name":"a"}`, `"labels":{"kube_tag":"v1.36.3"}`},
		"given labels replace the template's":        {`{"name":"b","labels":{"x":true,"y":2}}`, `"labels":{"x":"true","y":"2"}`},
		"merged labels":                              {`{"name":"c","merge_labels":true,"labels":{"x":"1"}}`, `"labels":{"kube_tag":"v1.36.3","x":"1"}`},
		"flavors of the template":                    {`{"name":"d","flavor_id":null}`, `"master_flavor_id":"c1.c4r8","flavor_id":"c1.c2r4"`},
		"one master and one node":                    {`{"name":"e"}`, `"node_count":1,"master_count":1`},
		"numbers as texts":                           {`{"name":"f","node_count":"5","master_count":"1"}`, `"node_count":5,"master_count":1`},
		"an hour":                                    {`{"name":"g"}`, `"create_timeout":60`},
		"the other template's load balancer":         {`{"name":"h","cluster_template_id":"` + DevelopmentTemplateID + `"}`, `"master_lb_enabled":false`},
		"no nodes from 1.10":                         {`{"name":"i","node_count":0}`, `"node_count":0`},
		"what differs from the template's labels":    {`{"name":"j","labels":{"kube_tag":"v1.36.1","x":"1"}}`, `"labels_overridden":{"kube_tag":"v1.36.3"},"labels_added":{"x":"1"},"labels_skipped":{}`},
		"a template by name":                         {`{"name":"k","cluster_template_id":"kubernetes-v1.36.3-prod-20261121"}`, `"cluster_template_id":"` + ProductionTemplateID + `"`},
	} {
		t.Run(name, func(t *testing.T) {
			body := c.body
			if !strings.Contains(body, "cluster_template_id") {
				body = strings.Replace(body, "{", `{"cluster_template_id":"`+ProductionTemplateID+`",`, 1)
			}
			a := h.do("POST", "/v1/clusters", body, latest...)
			if a.status != http.StatusAccepted {
				t.Fatalf("%d %s", a.status, a.body)
			}
			var made struct{ UUID string }
			if err := json.Unmarshal(a.body, &made); err != nil {
				t.Fatal(err)
			}
			if got := h.do("GET", "/v1/clusters/"+made.UUID, "", latest...).body; !strings.Contains(string(got), c.want) {
				t.Errorf("%s\nis not in %s", c.want, got)
			}
		})
	}
	if a := h.do("POST", "/v1/clusters", `{"cluster_template_id":"`+ProductionTemplateID+`"}`); a.status != http.StatusAccepted {
		t.Errorf("without a name: %d %s", a.status, a.body)
	}
}

func TestDuplicateNameIsAConflictAndTheUUIDIsNot(t *testing.T) {
	h := newHarness(t)
	first := h.create("twin")
	h.create("twin")
	checkProblem(t, h.do("GET", "/v1/clusters/twin", ""), 409, "Multiple clusters exist with same name. Please use the cluster uuid instead.")
	checkProblem(t, h.do("DELETE", "/v1/clusters/twin", ""), 409, "Multiple clusters exist with same name.")
	if a := h.do("GET", "/v1/clusters/"+first, ""); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	checkProblem(t, h.do("GET", "/v1/clusters/none", ""), 404, "Cluster none could not be found.")
}

func TestDeleteIsHarmlessTwiceAndTakesTheCreatesPlace(t *testing.T) {
	h := newHarness(t)
	id := h.create("k8s")
	for range 2 {
		if a := h.do("DELETE", "/v1/clusters/k8s", ""); a.status != 204 || len(a.body) != 0 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	h.golden("cluster-deleting", h.do("GET", "/v1/clusters/"+id, "", latest...))
	operations, err := h.store.Operations(t.Context(), id)
	if err != nil || len(operations) != 2 || operations[1].Kind != OperationDelete || !operations[1].Preempts {
		t.Fatalf("operations %+v, %v; want one delete that preempts", operations, err)
	}
	if err := h.store.Tx(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.DeleteCluster(ctx, id) }); err != nil {
		t.Fatal(err)
	}
	for _, ident := range []string{"k8s", id} {
		checkProblem(t, h.do("DELETE", "/v1/clusters/"+ident, ""), 404, "Cluster "+ident+" could not be found.")
	}
}

func TestListPagesAndSorts(t *testing.T) {
	h := newHarness(t)
	var ids []string
	for _, name := range []string{"b", "c", "a"} {
		ids = append(ids, h.create(name))
	}
	names := func(path string) (string, string) {
		t.Helper()
		a := h.do("GET", path, "")
		var list struct {
			Clusters []struct{ Name string }
			Next     string
		}
		if err := json.Unmarshal(a.body, &list); err != nil || a.status != 200 {
			t.Fatalf("%s: %d %s", path, a.status, a.body)
		}
		var out []string
		for _, c := range list.Clusters {
			out = append(out, c.Name)
		}
		return strings.Join(out, " "), strings.TrimPrefix(list.Next, h.server.URL)
	}
	for path, want := range map[string]string{
		"/v1/clusters":                                     "b c a",
		"/v1/clusters/?sort_key=name":                      "a b c",
		"/v1/clusters?sort_key=name&sort_dir=desc":         "c b a",
		"/v1/clusters/detail?sort_dir=desc":                "a c b",
		"/v1/clusters?marker=" + ids[0]:                    "c a",
		"/clusters?limit=2&sort_key=name&marker=" + ids[2]: "b c",
	} {
		if got, _ := names(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	var seen []string
	for path := "/v1/clusters?limit=1&sort_key=name"; path != ""; {
		var page string
		page, path = names(path)
		seen = append(seen, page)
	}
	if got := strings.TrimSpace(strings.Join(seen, " ")); got != "a b c" {
		t.Errorf("page by page: %s", got)
	}
	for path, detail := range map[string]string{
		"/v1/clusters?limit=0":         "Limit must be positive",
		"/v1/clusters?limit=x":         "attribute limit.",
		"/v1/clusters?sort_key=labels": `The sort_key value "labels" is an invalid field for sorting`,
		"/v1/clusters?sort_dir=up":     "Invalid sort direction: up.",
	} {
		checkProblem(t, h.do("GET", path, ""), 400, detail)
	}
	checkProblem(t, h.do("GET", "/v1/clusters?marker=gone", ""), 404, "Cluster gone could not be found.")
}

func TestFailedClusterShowsItsFaultsAlone(t *testing.T) {
	h := newHarness(t)
	id := h.create("k8s")
	reason := "node k8s-master-0: image etcd: expected sha256:aa, found sha256:bb"
	err := h.store.Tx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		group, err := tx.Nodegroup(ctx, id, store.DefaultMaster)
		if err != nil {
			return err
		}
		group.Status, group.StatusReason = store.CreateFailed, &reason
		if err := tx.UpdateNodegroup(ctx, group); err != nil {
			return err
		}
		return tx.SetClusterStatus(ctx, id, store.CreateFailed, "resources.kube_masters: "+reason)
	})
	if err != nil {
		t.Fatal(err)
	}
	h.golden("cluster-failed", h.do("GET", "/v1/clusters/"+id, "", latest...))
	if a := h.do("GET", "/v1/clusters/detail", ""); strings.Contains(string(a.body), "faults") {
		t.Errorf("the list shows faults: %s", a.body)
	}
}

func TestManyClientsCreateAndDeleteAtOnce(t *testing.T) {
	h := newHarness(t)
	done := make(chan error)
	const clients = 8
	for i := range clients {
		go func() {
			name := fmt.Sprintf("k8s-%d", i)
			a := h.do("POST", "/v1/clusters", fmt.Sprintf(`{"name":%q,"cluster_template_id":%q}`, name, ProductionTemplateID))
			if a.status != 202 {
				done <- fmt.Errorf("create %s: %d %s", name, a.status, a.body)
				return
			}
			for range 2 {
				if a := h.do("DELETE", "/v1/clusters/"+name, ""); a.status != 204 {
					done <- fmt.Errorf("delete %s: %d %s", name, a.status, a.body)
					return
				}
			}
			done <- nil
		}()
	}
	for range clients {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	operations, err := h.store.Operations(t.Context(), "")
	if err != nil || len(operations) != 2*clients {
		t.Errorf("%d operations, want %d (%v)", len(operations), 2*clients, err)
	}
}
