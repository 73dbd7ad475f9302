package heatapi

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway.build/slipway/controlplane/identity"
	"slipway.build/slipway/controlplane/orchestration/engine"
	"slipway.build/slipway/controlplane/orchestration/engine/fake"
	"slipway.build/slipway/controlplane/store"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Every resource needs the one before it, so that the history has one order only.
var templates = map[string]string{
	"cluster.yaml": `heat_template_version: 2021-04-16
description: A cluster in small.
parameters:
  count: {type: number, default: 1}
resources:
  network: {type: Fake::Thing}
  kube_masters:
    type: OS::Heat::ResourceGroup
    depends_on: network
    properties:
      count: {get_param: count}
      resource_def: {type: node.yaml, properties: {index: "%index%"}}
  kube_cluster_deploy: {type: Fake::Waiter, depends_on: kube_masters}
outputs:
  network: {value: {get_resource: network}}
`,
	"node.yaml": `heat_template_version: 2021-04-16
parameters:
  index: {type: string}
resources:
  kube-master: {type: Fake::Thing, properties: {name: {get_param: index}}}
  master_config_deployment: {type: Fake::Waiter, depends_on: kube-master}
outputs:
  OS::stack_id: {value: {get_resource: kube-master}}
`,
}

type harness struct {
	t       *testing.T
	store   *store.Store
	engine  *engine.Engine
	server  *httptest.Server
	cluster string
	stack   string
}

const stackName = "k8s-abcdefabcdef"

// newHarness makes a stack with the real engine and serves it.
func newHarness(t *testing.T) *harness {
	t.Helper()
	h := &harness{t: t, cluster: store.NewID(), stack: store.NewID()}
	var err error
	if h.store, err = store.Open(t.Context(), filepath.Join(t.TempDir(), "slipway.db"), store.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.store.Close(); err != nil {
			t.Error(err)
		}
	})
	h.engine = engine.New(h.store, (&fake.Cloud{}).Type, engine.Options{Parallel: 1})
	var fence store.Fence
	h.tx(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.Enqueue(ctx, &store.Operation{ClusterID: h.cluster, Kind: "create"}); err != nil {
			return err
		}
		operation, err := tx.ClaimOperation(ctx, "test", time.Hour)
		if err != nil {
			return err
		}
		fence = operation.Fence()
		_, err = h.engine.CreateStack(ctx, tx, engine.Spec{
			ID: h.stack, Name: stackName, Cluster: h.cluster, Project: identity.LocalProject, Actor: "user:local",
			Template: "cluster.yaml", Files: templates, Timeout: time.Hour,
		})
		return err
	})
	result, err := h.engine.Run(t.Context(), h.stack, fence)
	if err != nil || result.Status != store.CreateComplete {
		t.Fatalf("%+v, %v", result, err)
	}
	h.server = httptest.NewServer(New(Config{
		Store: h.store, Queries: h.engine, Identity: identity.NewNone(), Prefix: "/heat", Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}))
	t.Cleanup(h.server.Close)
	return h
}

func (h *harness) tx(fn func(ctx context.Context, tx *store.Tx) error) {
	h.t.Helper()
	if err := h.store.Tx(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) get(path string) (int, []byte) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), "GET", h.server.URL+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	response, err := h.server.Client().Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return response.StatusCode, text
}

// at is the address of the stack.
func (h *harness) at(rest string) string {
	return "/heat/v1/local/stacks/" + stackName + "/" + h.stack + rest
}

func (h *harness) golden(name, path string) {
	h.t.Helper()
	status, text := h.get(path)
	clean := strings.ReplaceAll(string(text), h.server.URL, "http://heat.example:9511")
	seen := map[string]string{}
	number := func(kind string) func(string) string {
		return func(id string) string {
			if seen[id] == "" {
				seen[id] = fmt.Sprintf("<%s %d>", kind, len(seen)+1)
			}
			return seen[id]
		}
	}
	clean = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`).ReplaceAllStringFunc(clean, number("uuid"))
	clean = regexp.MustCompile(`-[a-z2-7]{12}\b`).ReplaceAllStringFunc(strings.ReplaceAll(clean, stackName, "STACK"), number("short"))
	clean = regexp.MustCompile(`"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"`).ReplaceAllString(clean, `"<time>"`)
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, []byte(clean), "", "  "); err != nil {
		h.t.Fatalf("%s: %v in %s", name, err, text)
	}
	got := fmt.Sprintf("%d\n%s\n", status, pretty.String())
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			h.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			h.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		h.t.Fatalf("%v (run the test with -update to make it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		h.t.Errorf("%s differs (-want +got):\n%s", file, diff)
	}
}

func TestAnswersHaveHeatsShape(t *testing.T) {
	h := newHarness(t)
	h.golden("versions", "/heat/")
	h.golden("stack-list", "/heat/v1/local/stacks")
	h.golden("stack-show", h.at(""))
	h.golden("resource-list", h.at("/resources"))
	h.golden("resource-list-nested", h.at("/resources?nested_depth=2"))
	h.golden("resource-show", h.at("/resources/kube_masters"))
	h.golden("resource-metadata", h.at("/resources/network/metadata"))
	h.golden("event-list", h.at("/events?sort_dir=asc"))
	h.golden("event-list-nested", h.at("/events?nested_depth=3&limit=4"))
	h.golden("resource-events", h.at("/resources/network/events"))
	h.golden("template", h.at("/template"))
	h.golden("outputs", h.at("/outputs"))
	h.golden("graph", h.at("/graph"))
	h.golden("not-found", "/heat/v1/local/stacks/none")
}

func TestNamesAndIDsRedirectToTheFullAddress(t *testing.T) {
	h := newHarness(t)
	h.server.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for path, want := range map[string]string{
		"/heat/v1/local/stacks/" + stackName:                                       h.at(""),
		"/heat/v1/local/stacks/" + h.stack:                                         h.at(""),
		"/heat/v1/local/stacks/" + stackName + "/resources?nested_depth=2":         h.at("/resources?nested_depth=2"),
		"/heat/v1/local/stacks/" + stackName + "/resources/network/events?limit=1": h.at("/resources/network/events?limit=1"),
		"/heat/v1/local/stacks/" + h.stack + "/events":                             h.at("/events"),
	} {
		response, err := h.server.Client().Get(h.server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got := response.Header.Get("Location"); response.StatusCode != http.StatusFound || got != h.server.URL+want {
			t.Errorf("%s: %d to %s, want %s", path, response.StatusCode, got, want)
		}
	}
}

func TestNestedStacksAreReachedThroughTheirLinks(t *testing.T) {
	h := newHarness(t)
	_, text := h.get(h.at("/resources/kube_masters"))
	var answer struct{ Resource struct{ Links []link } }
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatal(err)
	}
	for _, l := range answer.Resource.Links {
		if l.Rel != "nested" {
			continue
		}
		status, text := h.get(strings.TrimPrefix(l.HRef, h.server.URL) + "/resources/0")
		if status != 200 || !strings.Contains(string(text), `"resource_status":"CREATE_COMPLETE"`) {
			t.Errorf("%d %s", status, text)
		}
		if status, text := h.get(strings.TrimPrefix(l.HRef, h.server.URL)); status != 200 || !strings.Contains(string(text), "refs_map") {
			t.Errorf("the group's outputs lack refs_map: %d %s", status, text)
		}
		return
	}
	t.Errorf("no link to the nested stack in %s", text)
}

func TestBadRequests(t *testing.T) {
	h := newHarness(t)
	for path, want := range map[string]int{
		"/heat/v1/other/stacks":                                       403,
		"/heat/v1/local/nothing":                                      404,
		"/heat/v1/local/stacks/" + stackName + "/" + store.NewID():    404,
		"/heat/v1/local/stacks/wrong/" + h.stack:                      404,
		h.at("/resources/none"):                                       404,
		h.at("/resources/network/events/none"):                        404,
		h.at("/nothing"):                                              404,
		h.at("/outputs/none"):                                         404,
		h.at("/events?marker=none"):                                   404,
		h.at("/resources?colour=red"):                                 400,
		h.at("/resources?nested_depth=x"):                             400,
		h.at("/events?limit=x"):                                       400,
		h.at("/events?sort_dir=up"):                                   400,
		h.at("/events?sort_keys=actor"):                               400,
		h.at("/events?wait=soon"):                                     400,
		"/heat/v1/local/stacks/" + stackName + "/x/resources/network": 404,
	} {
		status, text := h.get(path)
		var body struct {
			Code        int
			Title       string
			Explanation string
			Error       struct{ Type, Message string }
		}
		if err := json.Unmarshal(text, &body); err != nil || status != want || body.Code != want || body.Error.Type == "" || body.Error.Message == "" || body.Explanation == "" {
			t.Errorf("%s: %d %s (%v), want %d", path, status, text, err, want)
		}
	}
	response, err := h.server.Client().Post(h.server.URL+"/heat/v1/local/stacks", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %s", response.Status)
	}
}

// eventIDs returns the ids and reasons of the events at path.
func (h *harness) eventIDs(path string) (ids, text []string) {
	h.t.Helper()
	status, body := h.get(path)
	var answer struct{ Events []eventItem }
	if err := json.Unmarshal(body, &answer); err != nil || status != 200 {
		h.t.Fatalf("%s: %d %s", path, status, body)
	}
	for _, e := range answer.Events {
		ids, text = append(ids, e.ID), append(text, e.ResourceName+" "+e.ResourceStatus)
	}
	return ids, text
}

func TestEventsPageByMarker(t *testing.T) {
	h := newHarness(t)
	all, _ := h.eventIDs(h.at("/events?nested_depth=5"))
	var paged []string
	for marker := ""; ; {
		path := h.at("/events?nested_depth=5&limit=3")
		if marker != "" {
			path += "&marker=" + marker
		}
		page, _ := h.eventIDs(path)
		if len(page) == 0 {
			break
		}
		paged, marker = append(paged, page...), page[len(page)-1]
	}
	if diff := cmp.Diff(all, paged); diff != "" {
		t.Errorf("page by page (-all +paged):\n%s", diff)
	}
	newest, _ := h.eventIDs(h.at("/events?nested_depth=5&sort_dir=desc&limit=1"))
	if len(newest) != 1 || newest[0] != all[len(all)-1] {
		t.Errorf("newest %v, want %s", newest, all[len(all)-1])
	}
	if _, text := h.eventIDs(h.at("/events?resource_name=network")); strings.Join(text, ",") != "network CREATE_IN_PROGRESS,network CREATE_COMPLETE" {
		t.Errorf("network's events %v", text)
	}
}

func TestWaitingForEventsEndsWithTheNextOne(t *testing.T) {
	h := newHarness(t)
	all, _ := h.eventIDs(h.at("/events"))
	last := all[len(all)-1]
	if now, _ := h.eventIDs(h.at("/events?marker=" + last)); len(now) != 0 {
		t.Fatalf("events after the last: %v", now)
	}
	got := make(chan []string, 1)
	go func() {
		_, text := h.eventIDs(h.at("/events?wait=60s&marker=" + last))
		got <- text
	}()
	h.tx(func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertEvents(ctx, []*store.Event{{
			ClusterID: h.cluster, RootID: h.stack, StackID: h.stack, StackName: stackName, ResourceName: "network", ResourceType: "Fake::Thing",
			Status: "SIGNAL_COMPLETE", StatusReason: "Signal: hello", Actor: "node:a",
		}})
	})
	if text := <-got; len(text) != 1 || text[0] != "network SIGNAL_COMPLETE" {
		t.Errorf("%v", text)
	}
}

func TestResourceFilters(t *testing.T) {
	h := newHarness(t)
	for query, want := range map[string]int{
		"?nested_depth=5": 6, "": 3, "?nested_depth=1": 4, "?type=Fake::Waiter": 1, "?nested_depth=5&type=Fake::Waiter": 2,
		"?name=network": 1, "?status=COMPLETE": 3, "?status=FAILED": 0, "?action=CREATE&with_detail=true": 3,
	} {
		status, text := h.get(h.at("/resources" + query))
		var answer struct{ Resources []resourceItem }
		if err := json.Unmarshal(text, &answer); err != nil || status != 200 || len(answer.Resources) != want {
			t.Errorf("%s: %d, %d resources, want %d", query, status, len(answer.Resources), want)
		}
	}
}
