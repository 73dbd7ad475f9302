package slipwayapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/action"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/actions"
	"slipway.build/slipway/controlplane/fault"
	"slipway.build/slipway/controlplane/identity"
	"slipway.build/slipway/controlplane/pki"
	"slipway.build/slipway/controlplane/store"
)

// oneImage knows one image.
type oneImage struct{}

func (oneImage) Ahead(_ context.Context, _ *store.Node, names []string) (action.Arguments, error) {
	digest := "sha256:" + strings.Repeat("a", 64)
	for _, name := range names {
		if name != "etcd" {
			return action.Arguments{}, fault.Terminalf("images: there is no image %s", name)
		}
	}
	return action.Arguments{Images: []action.Image{{Name: "etcd", Repository: "slipway/etcd", Digest: digest}}, Lock: digest, Registries: []string{"http://r:1"}}, nil
}

// harness is the API on a real store, with one cluster of two nodes.
type harness struct {
	t       *testing.T
	store   *store.Store
	desk    *actions.Desk
	url     string
	cluster string
	node    *store.Node
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	dir := t.TempDir()
	h := &harness{t: t}
	var err error
	if h.store, err = store.Open(t.Context(), filepath.Join(dir, "slipway.db"), store.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.store.Close() })
	sealer, err := store.OpenSealer(filepath.Join(dir, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	system, err := pki.OpenSystem(t.Context(), pki.NewStoreRecords(h.store), sealer, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	h.desk = &actions.Desk{Store: h.store, Signer: system.Plans, Archives: &actions.Archives{Dir: filepath.Join(dir, "archives")}, Now: time.Now, Log: log}
	server := httptest.NewServer(New(Config{Store: h.store, Desk: h.desk, Images: oneImage{}, Identity: identity.NewNone(), Log: log}))
	t.Cleanup(server.Close)
	h.url = server.URL
	h.cluster = h.newCluster("local", "k8s", "k8s-master-0", "k8s-node-0")
	nodes, err := h.store.Nodes(t.Context(), h.cluster, "")
	if err != nil {
		t.Fatal(err)
	}
	h.node = &nodes[0]
	return h
}

func (h *harness) newCluster(project, name string, nodes ...string) string {
	h.t.Helper()
	c := &store.Cluster{ProjectID: project, UserID: "x", Name: name, Status: store.CreateComplete}
	if err := h.store.Tx(h.t.Context(), func(ctx context.Context, tx *store.Tx) error {
		if err := tx.InsertCluster(ctx, c); err != nil {
			return err
		}
		for i, n := range nodes {
			if err := tx.InsertNode(ctx, &store.Node{
				ID: uuid.NewString(), ClusterID: c.UUID, Name: n, Role: store.RoleMaster, Address: fmt.Sprint("10.0.0.", i+2), PodIndex: i + 1, State: store.NodeJoined,
			}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		h.t.Fatal(err)
	}
	return c.UUID
}

// do sends a request and decodes the answer.
func (h *harness) do(method, path, body string, out any, headers ...string) (int, http.Header) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.url+"/slipway/v1"+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	if out != nil {
		if text, ok := out.(*string); ok {
			*text = string(raw)
		} else if err := json.Unmarshal(raw, out); err != nil {
			h.t.Fatalf("%s %s: %d %s: %v", method, path, resp.StatusCode, raw, err)
		}
	}
	return resp.StatusCode, resp.Header
}

func (h *harness) answer(id string, status protocol.ActionStatus, results ...protocol.ActionResult) {
	h.t.Helper()
	if err := h.store.Tx(h.t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return actions.Answer(ctx, tx, h.node, protocol.Signal{
			ID: uuid.NewString(), Phase: protocol.Acted, Time: time.Now(), Action: &protocol.ActionAnswer{ID: id, Status: status, Results: results},
		})
	}); err != nil {
		h.t.Fatal(err)
	}
}

func TestNodesAreShownWithTheirConditions(t *testing.T) {
	h := newHarness(t)
	if err := h.store.Tx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return tx.SetConditions(ctx, h.node.ID, []*store.Condition{{Type: "DiskPressure", Status: "True", Reason: "Full", Message: "no space", Since: time.Now(), ObservedAt: time.Now()}})
	}); err != nil {
		t.Fatal(err)
	}
	var list struct{ Nodes []nodeItem }
	if code, _ := h.do("GET", "/clusters/k8s/nodes", "", &list); code != http.StatusOK || len(list.Nodes) != 2 {
		t.Fatalf("%d %+v", code, list)
	}
	if got := list.Nodes[0]; got.Name != "k8s-master-0" || got.ClusterName != "k8s" || len(got.Conditions) != 1 || got.Conditions[0].Type != "DiskPressure" {
		t.Errorf("%+v", got)
	}
	for _, ident := range []string{"k8s-master-0", h.node.ID} {
		var detail nodeDetail
		if code, _ := h.do("GET", "/nodes/"+ident, "", &detail); code != http.StatusOK || detail.ID != h.node.ID || detail.Signals == nil || detail.Actions == nil {
			t.Errorf("%s: %d %+v", ident, code, detail)
		}
	}
}

func TestAnActionIsAskedForFollowedAndListed(t *testing.T) {
	h := newHarness(t)
	var made actionItem
	code, header := h.do("POST", "/nodes/k8s-master-0/actions", `{"kind":"restart","unit":"slipway-kubelet.service","expires_in":"90s"}`, &made)
	if code != http.StatusAccepted || made.State != "requested" || made.Actor != "user:local" || made.What != "restart slipway-kubelet.service" {
		t.Fatalf("%d %+v", code, made)
	}
	if want := "/slipway/v1/nodes/" + h.node.ID + "/actions/" + made.ID; header.Get("Location") != want {
		t.Errorf("location %s", header.Get("Location"))
	}
	path := "/nodes/k8s-master-0/actions/" + made.ID
	_, header = h.do("GET", path, "", &made)
	type result struct {
		code int
		item actionItem
	}
	waited := make(chan result, 1)
	go func() {
		var now actionItem
		code, _ := h.do("GET", path+"?wait=50s", "", &now, "If-None-Match", header.Get("ETag"))
		waited <- result{code, now}
	}()
	h.answer(made.ID, protocol.ActionStarted)
	if got := <-waited; got.code != http.StatusOK || got.item.State != "started" {
		t.Errorf("%+v", got)
	}
	h.answer(made.ID, protocol.ActionDone, protocol.ActionResult{Name: "slipway-kubelet.service", Status: protocol.ResultOK, Message: "it runs"})
	_, header = h.do("GET", path, "", &made)
	if made.State != "done" || !made.Ended || len(made.Results) != 1 || made.EndedAt == nil {
		t.Errorf("%+v", made)
	}
	if code, _ := h.do("GET", path+"?wait=1ms", "", nil, "If-None-Match", header.Get("ETag")); code != http.StatusNotModified {
		t.Errorf("nothing new: %d", code)
	}
	var list struct{ Actions []actionItem }
	if code, _ := h.do("GET", "/nodes/k8s-master-0/actions", "", &list); code != http.StatusOK || len(list.Actions) != 1 {
		t.Errorf("%d %+v", code, list)
	}
	for _, body := range []string{`{"kind":"logs","unit":"slipway-agent.service"}`, `{"kind":"pull"}`, `{"kind":"pull","images":["etcd"]}`, `{"kind":"reboot"}`, `{"kind":"check","checks":["disk"]}`} {
		if code, _ := h.do("POST", "/nodes/k8s-master-0/actions", body, &made); code != http.StatusAccepted {
			t.Errorf("%s: %d", body, code)
		}
	}
}

func TestBadOrdersAreRefusedByField(t *testing.T) {
	h := newHarness(t)
	for body, want := range map[string]string{
		`{"kind":"shell"}`:                                        "kind",
		`{"kind":"reboot","command":"id"}`:                        "command: unknown field",
		`{"kind":"reboot","unit":"slipway-a.service"}`:            "arguments.unit",
		`{"kind":"restart"}`:                                      "arguments.unit",
		`{"kind":"restart","unit":"sshd.service"}`:                "arguments.unit",
		`{"kind":"restart","unit":"slipway-a.service","unit":""}`: "is there twice",
		`{"kind":"check","checks":["everything"]}`:                "arguments.checks[0]",
		`{"kind":"logs","unit":"slipway-a.service","lines":1001}`: "arguments.lines",
		`{"kind":"pull","images":["ghost"]}`:                      "there is no image ghost",
		`{"kind":"reboot","images":["etcd"]}`:                     "images",
		`{"kind":"reboot","expires_in":"25h"}`:                    "expires_in",
		`{"kind":"reboot","expires_in":"soon"}`:                   "expires_in",
		`{"kind":1}`:                                              "kind",
		`{`:                                                       "not JSON",
	} {
		var text string
		if code, _ := h.do("POST", "/nodes/k8s-master-0/actions", body, &text); code != http.StatusBadRequest || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s, want something about %s", body, code, text, want)
		}
	}
	if code, _ := h.do("POST", "/nodes/k8s-master-0/actions", `{"kind":"reboot"}`, nil, "Content-Type", "text/plain"); code != http.StatusUnsupportedMediaType {
		t.Errorf("another media type: %d", code)
	}
	if code, _ := h.do("POST", "/nodes/k8s-master-0/actions", `{"kind":"`+strings.Repeat("x", maxOrder)+`"}`, nil); code != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body: %d", code)
	}
	if rows, err := h.store.Actions(t.Context(), h.node.ID, 10); err != nil || len(rows) != 0 {
		t.Errorf("left %v, %v", rows, err)
	}
}

func TestNobodySeesTheNodesOfOthers(t *testing.T) {
	h := newHarness(t)
	other := h.newCluster("another project", "theirs", "theirs-master-0")
	nodes, err := h.store.Nodes(t.Context(), other, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/clusters/theirs/nodes", "/clusters/" + other + "/nodes", "/nodes/theirs-master-0", "/nodes/" + nodes[0].ID, "/nodes/" + nodes[0].ID + "/actions", "/nothing"} {
		if code, _ := h.do("GET", path, "", nil); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
	if code, _ := h.do("POST", "/nodes/"+nodes[0].ID+"/actions", `{"kind":"reboot"}`, nil); code != http.StatusNotFound {
		t.Errorf("an action on a node of others: %d", code)
	}
	h.newCluster("local", "twin", "k8s-master-0")
	if code, _ := h.do("GET", "/nodes/k8s-master-0", "", nil); code != http.StatusConflict {
		t.Errorf("a name of two nodes: %d", code)
	}
	if code, _ := h.do("POST", "/nodes/"+h.node.ID+"/actions", `{"kind":"reboot"}`, nil, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); code != http.StatusForbidden {
		t.Errorf("a foreign page asks for a reboot: %d", code)
	}
}

func TestAnArchiveIsServedToWhoAskedForIt(t *testing.T) {
	h := newHarness(t)
	var made actionItem
	h.do("POST", "/nodes/k8s-master-0/actions", `{"kind":"bundle"}`, &made)
	path := "/nodes/k8s-master-0/actions/" + made.ID
	if code, _ := h.do("GET", path+"/archive", "", nil); code != http.StatusNotFound {
		t.Errorf("before it is there: %d", code)
	}
	row, err := h.store.Action(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.desk.Archives.Put(row, strings.NewReader("an archive")); err != nil {
		t.Fatal(err)
	}
	var content string
	code, header := h.do("GET", path+"/archive", "", &content)
	if code != http.StatusOK || content != "an archive" || header.Get("Content-Type") != "application/gzip" || !strings.Contains(header.Get("Content-Disposition"), "k8s-master-0-") {
		t.Errorf("%d %q %v", code, content, header)
	}
}
