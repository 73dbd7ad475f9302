package system

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "request.json")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestOnlyTheCountsOfARequestAreReplaced(t *testing.T) {
	name := write(t, `{"name":"k8s","master_count":3,"node_count":3,"create_timeout":60,"labels":{},"flavor_id":null}`)
	for _, c := range []struct{ masters, nodes, wantMasters, wantNodes int }{
		{-1, -1, 3, 3}, {1, 1, 1, 1}, {1, 0, 1, 0},
	} {
		r, err := readRequest(name, c.masters, c.nodes)
		if err != nil {
			t.Fatal(err)
		}
		if r.masters != c.wantMasters || r.nodes != c.wantNodes || r.name != "k8s" {
			t.Errorf("%+v: got %+v", c, r)
		}
		var body map[string]any
		if err := json.Unmarshal(r.body, &body); err != nil {
			t.Fatal(err)
		}
		if v, there := body["flavor_id"]; !there || v != nil || body["create_timeout"] != 60.0 || body["master_count"] != float64(c.wantMasters) {
			t.Errorf("%+v: the body is %s", c, r.body)
		}
	}
}

func TestARequestWithoutNameIsRefused(t *testing.T) {
	if _, err := readRequest(write(t, `{"master_count":1}`), -1, -1); err == nil {
		t.Error("a request without a name would make another cluster each time")
	}
}

func TestTheExampleIsThePapersRequest(t *testing.T) {
	r, err := readRequest("../../../../examples/cluster-create.json", -1, -1)
	if err != nil || r.name != "k8s" || r.masters != 3 || r.nodes != 3 {
		t.Errorf("got %+v, %v", r, err)
	}
}
