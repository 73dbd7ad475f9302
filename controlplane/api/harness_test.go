package api

import (
	"bytes"
	"context"
	"database/sql"
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

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/identity"
	"slipway.build/slipway/controlplane/pki"
	"slipway.build/slipway/controlplane/store"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// testNow is the time of everything in these tests.
var testNow = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// fakeCloud knows one key pair and two flavors; err, when set, is its answer to everything.
type fakeCloud struct{ err error }

func (f *fakeCloud) Keypair(_ context.Context, _, name string) (string, error) {
	if f.err != nil {
		return "", f.err
	}
	if name == "my_keypair" {
		return "ssh-ed25519 AAAA tester", nil
	}
	return "", fmt.Errorf("keypair %s: %w", name, cloud.ErrNotFound)
}

func (f *fakeCloud) Flavor(_ context.Context, name string) (cloud.Flavor, error) {
	if f.err != nil {
		return cloud.Flavor{}, f.err
	}
	if name == "c1.c2r4" || name == "c1.c4r8" {
		return cloud.Flavor{ID: name, Name: name, VCPUs: 2, RAM: 4096}, nil
	}
	return cloud.Flavor{}, fmt.Errorf("flavor %s: %w", name, cloud.ErrNotFound)
}

// harness is the API on a real store.
type harness struct {
	t      *testing.T
	store  *store.Store
	path   string
	cloud  *fakeCloud
	server *httptest.Server
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	dir := t.TempDir()
	h := &harness{t: t, path: filepath.Join(dir, "slipway.db"), cloud: &fakeCloud{}}
	var err error
	now := func() time.Time { return testNow }
	if h.store, err = store.Open(t.Context(), h.path, store.Options{Now: now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.store.Close(); err != nil {
			t.Error(err)
		}
	})
	sealer, err := store.OpenSealer(filepath.Join(dir, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	certified := Certified{Kubernetes: "v1.36.3", Release: "20261121", Image: "slipway-node", Flavor: "c1.c2r4", Master: "c1.c4r8", External: "public"}
	if err := SeedTemplates(t.Context(), h.store, certified); err != nil {
		t.Fatal(err)
	}
	h.server = httptest.NewServer(New(Config{
		Store: h.store, Cloud: h.cloud, Identity: identity.NewNone(), Now: time.Now, Kubernetes: []string{"v1.35.4", "v1.36.1", "v1.36.3"},
		Authorities: pki.NewAuthorities(pki.NewStoreRecords(h.store), sealer, time.Now),
		Log:         slog.New(slog.NewTextHandler(io.Discard, nil)),
	}))
	t.Cleanup(h.server.Close)
	return h
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (h *harness) do(method, path, body string, headers ...string) answer {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.server.URL+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
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
	return answer{response.StatusCode, response.Header, text}
}

// latest is the header pair of a client that wants the newest version.
var latest = []string{versionHeader, serviceType + " latest"}

// create makes a cluster and returns its UUID.
func (h *harness) create(name string) string {
	h.t.Helper()
	a := h.do("POST", "/v1/clusters", fmt.Sprintf(`{"name":%q,"cluster_template_id":%q,"keypair":"my_keypair","master_count":3,"node_count":3}`, name, ProductionTemplateID), latest...)
	if a.status != http.StatusAccepted {
		h.t.Fatalf("create %s: %d %s", name, a.status, a.body)
	}
	var made struct{ UUID string }
	if err := json.Unmarshal(a.body, &made); err != nil {
		h.t.Fatal(err)
	}
	return made.UUID
}

// dump is everything in the database, as text.
func (h *harness) dump() string {
	h.t.Helper()
	db, err := sql.Open("sqlite", "file:"+h.path+"?_pragma=query_only(1)")
	if err != nil {
		h.t.Fatal(err)
	}
	defer db.Close()
	tables, err := h.column(db, `SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name`)
	if err != nil {
		h.t.Fatal(err)
	}
	var b strings.Builder
	for _, table := range tables {
		rows, err := db.QueryContext(h.t.Context(), `SELECT * FROM "`+table+`" ORDER BY 1`)
		if err != nil {
			h.t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			h.t.Fatal(err)
		}
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				h.t.Fatal(err)
			}
			fmt.Fprint(&b, table)
			for _, v := range values {
				fmt.Fprintf(&b, " | %v", *v.(*any))
			}
			b.WriteByte('\n')
		}
		if err := rows.Close(); err != nil {
			h.t.Fatal(err)
		}
	}
	return b.String()
}

func (h *harness) column(db *sql.DB, query string) ([]string, error) {
	rows, err := db.QueryContext(h.t.Context(), query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

var uuidPattern = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// golden compares an answer with a file. UUIDs that differ from run to run are numbered in the
// order in which they appear.
func (h *harness) golden(name string, a answer) {
	h.t.Helper()
	text := strings.ReplaceAll(string(a.body), h.server.URL, "http://magnum.example:9511")
	text = regexp.MustCompile(`"(http:\\?/\\?/)127\.0\.0\.1:\d+`).ReplaceAllString(text, `"${1}magnum.example:9511`)
	seen := map[string]string{}
	text = uuidPattern.ReplaceAllStringFunc(text, func(id string) string {
		if id == ProductionTemplateID || id == DevelopmentTemplateID {
			return id
		}
		if seen[id] == "" {
			seen[id] = fmt.Sprintf("<uuid %d>", len(seen)+1)
		}
		return seen[id]
	})
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, []byte(text), "", "  "); err != nil {
		h.t.Fatalf("%s: %v in %s", name, err, text)
	}
	got := fmt.Sprintf("%d %s\n%s\n", a.status, a.header.Get("Content-Type"), pretty.String())
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			h.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			h.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		h.t.Fatalf("%v (run the test with -update to make it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		h.t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}
