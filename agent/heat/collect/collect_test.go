package collect_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/heat/collect"
	"slipway.build/slipway/agent/heat/keystone"
	"slipway.build/slipway/agent/heat/metadata"
	"slipway.build/slipway/agent/heat/rest"
	"slipway.build/slipway/agent/heat/testcloud"
)

func settings(t *testing.T, section map[string]any) metadata.Settings {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"os-collect-config": section})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := metadata.Parse("test", raw)
	if err != nil {
		t.Fatal(err)
	}
	merged, err := metadata.Merge([]metadata.Document{doc})
	if err != nil {
		t.Fatal(err)
	}
	return metadata.ReadSettings(merged)
}

func client() *keystone.Client { return &keystone.Client{HTTP: &rest.Client{}, Now: time.Now} }

// ids are the deployments that a collection has found.
func ids(t *testing.T, found collect.Found) string {
	t.Helper()
	list, errs := metadata.Deployments(found.Docs)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var out []string
	for _, d := range list {
		out = append(out, d.ID)
	}
	return strings.Join(out, " ")
}

func TestHeatIsPolledAndATokenThatExpiresInBetweenIsReplaced(t *testing.T) {
	cloud := testcloud.New(t)
	cloud.Deploy(testcloud.Deployment{ID: "d1", Config: "x"})
	c := &collect.Heat{Keystone: client()}
	s := settings(t, cloud.HeatSection())
	if found, err := c.Collect(t.Context(), s); err != nil || ids(t, found) != "d1" {
		t.Fatalf("found %v, %v", found, err)
	}
	if _, err := c.Collect(t.Context(), s); !errors.Is(err, collect.ErrUnchanged) {
		t.Errorf("without a change: %v", err)
	}
	cloud.ExpireTokens()
	cloud.Deploy(testcloud.Deployment{ID: "d2", Config: "x"})
	if found, err := c.Collect(t.Context(), s); err != nil || ids(t, found) != "d1 d2" {
		t.Fatalf("found %v, %v", found, err)
	}
	if n := cloud.Calls(testcloud.Token); n != 2 {
		t.Errorf("%d tokens", n)
	}
	for _, status := range []int{403, 404, 500, 503} {
		cloud.Fail(testcloud.Metadata, status)
		if _, err := c.Collect(t.Context(), s); rest.StatusOf(err) != status || err == nil {
			t.Errorf("status %d became %v", status, err)
		}
	}
	if _, err := c.Collect(t.Context(), settings(t, cloud.CFNSection())); !errors.Is(err, collect.ErrNotConfigured) {
		t.Errorf("without its section: %v", err)
	}
	if _, err := c.Collect(t.Context(), s); err != nil {
		t.Errorf("with its section again, it knows nothing new: %v", err)
	}
}

func TestTheCloudFormationAPIIsPolledWithASignature(t *testing.T) {
	cloud := testcloud.New(t)
	cloud.Set("text", "<&>\"' é")
	cloud.Deploy(testcloud.Deployment{ID: "d1", Config: strings.Repeat("<x>& "+strings.Repeat("y", 95), 1<<20/100)}) // 1 MiB
	cloud.SkewClock(20 * time.Minute)                                                                                // no timestamp, no expiry
	c := &collect.CFN{HTTP: &rest.Client{}, Hint: filepath.Join(t.TempDir(), "hint")}
	s := settings(t, cloud.CFNSection())
	found, err := c.Collect(t.Context(), s)
	if err != nil || ids(t, found) != "d1" || !strings.Contains(string(found.Docs[0].Raw), `\u00e9`) {
		t.Fatalf("%v", err)
	}
	wrong := s
	wrong.CFN.SecretAccessKey = "wrong"
	if _, err := c.Collect(t.Context(), wrong); rest.StatusOf(err) != http.StatusForbidden {
		t.Errorf("a wrong key: %v", err)
	}
	hinted := s
	hinted.CFN.MetadataURL = ""
	if _, err := c.Collect(t.Context(), hinted); !errors.Is(err, collect.ErrNotConfigured) {
		t.Errorf("without an address: %v", err)
	}
	if err := os.WriteFile(c.Hint, []byte(cloud.URL+"/cfn\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err := c.Collect(t.Context(), hinted); err != nil || ids(t, found) != "d1" {
		t.Errorf("with a hint: %v", err)
	}
	below := s
	below.CFN.Path = testcloud.Server + ".Metadata.no.such"
	if _, err := c.Collect(t.Context(), below); err == nil || !strings.Contains(err.Error(), "there is no no") {
		t.Errorf("a path to nothing: %v", err)
	}
}

func TestATemporaryURLIsReadOnlyWhenItIsNewer(t *testing.T) {
	cloud := testcloud.New(t)
	cloud.Deploy(testcloud.Deployment{ID: "d1", Config: "x"})
	c := &collect.Request{HTTP: &rest.Client{}}
	s := settings(t, cloud.RequestSection())
	if found, err := c.Collect(t.Context(), s); err != nil || ids(t, found) != "d1" {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := c.Collect(t.Context(), s); !errors.Is(err, collect.ErrUnchanged) {
			t.Errorf("without a change: %v", err)
		}
	}
	if n := cloud.Calls(testcloud.SwiftGet); n != 1 {
		t.Errorf("%d reads of one version", n)
	}
	cloud.Deploy(testcloud.Deployment{ID: "d2", Config: "x"})
	cloud.Fail(testcloud.SwiftGet, 503)
	if _, err := c.Collect(t.Context(), s); rest.StatusOf(err) != 503 {
		t.Errorf("a fault: %v", err)
	}
	if found, err := c.Collect(t.Context(), s); err != nil || ids(t, found) != "d1 d2" {
		t.Errorf("a change that was missed once is missed for ever: %v", err)
	}
}

func TestAPlainServerThatKnowsNoHeadIsRead(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		switch {
		case r.Method != http.MethodGet:
			w.WriteHeader(http.StatusMethodNotAllowed)
		case r.Header.Get("If-None-Match") == `"1"`:
			w.WriteHeader(http.StatusNotModified)
		default:
			_, _ = w.Write([]byte(`{"deployments":[{"id":"p"}]}`))
		}
	}))
	defer server.Close()
	c := &collect.Request{HTTP: &rest.Client{}}
	s := settings(t, map[string]any{"request": map[string]any{"metadata_url": server.URL}})
	if found, err := c.Collect(t.Context(), s); err != nil || ids(t, found) != "p" {
		t.Fatal(err)
	}
	if _, err := c.Collect(t.Context(), s); !errors.Is(err, collect.ErrUnchanged) {
		t.Errorf("304 became %v", err)
	}
}

func TestAQueueIsEmptiedOnlyWhenTheNewsAreKept(t *testing.T) {
	cloud := testcloud.New(t)
	for i := range 47 { // more than two pages of them
		cloud.Deploy(testcloud.Deployment{ID: "d", Config: i})
	}
	c := &collect.Zaqar{Keystone: client(), ClientID: uuid.NewString()}
	s := settings(t, cloud.ZaqarSection())
	found, err := c.Collect(t.Context(), s)
	if err != nil || !strings.Contains(string(found.Docs[0].Raw), `"config":46`) {
		t.Fatalf("%v", err)
	}
	again, err := c.Collect(t.Context(), s) // the agent died before it kept it
	if err != nil || string(again.Docs[0].Raw) != string(found.Docs[0].Raw) {
		t.Fatalf("the news is lost: %v", err)
	}
	if err := again.Kept(t.Context()); err != nil || cloud.Queued(testcloud.Queue) != 0 {
		t.Errorf("%d messages are left, %v", cloud.Queued(testcloud.Queue), err)
	}
	if _, err := c.Collect(t.Context(), s); !errors.Is(err, collect.ErrUnchanged) {
		t.Errorf("an empty queue: %v", err)
	}
}

func TestLocalFilesComeInTheOrderOfTheirNamesAndOnlyFromTheirOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "local-data")
	c := &collect.Local{Dir: dir}
	if _, err := c.Collect(t.Context(), metadata.Settings{}); !errors.Is(err, collect.ErrNotConfigured) {
		t.Errorf("without the directory: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b", "B", "a.json", ".hidden"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(`{"from":"`+name+`"}`), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	found, err := c.Collect(t.Context(), metadata.Settings{})
	var names []string
	for _, doc := range found.Docs {
		names = append(names, doc.Name)
	}
	if err != nil || strings.Join(names, " ") != "B a.json b" {
		t.Errorf("%v, %v", names, err)
	}
	for path, mode := range map[string]os.FileMode{filepath.Join(dir, "b"): 0o646, dir: 0o777} {
		before, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Collect(t.Context(), metadata.Settings{}); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("%s with mode %o: %v", path, mode, err)
		}
		if err := os.Chmod(path, before.Mode()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheCloudsWordOnTheMachineIsReadOnceAndFailuresAreNotRepeatedAtEachPoll(t *testing.T) {
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		text, ok := map[string]string{
			"/md/": "instance-id\npublic-keys/\nplacement/", "/md/instance-id": "i-1",
			"/md/public-keys/": "0=my-key", "/md/public-keys/0/": "openssh-key", "/md/public-keys/0/openssh-key": "ssh-rsa x",
			"/md/placement/": "availability-zone", "/md/placement/availability-zone": "nova",
		}[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write([]byte(text))
	}))
	defer server.Close()
	now := time.Now()
	c := &collect.EC2{
		HTTP: &rest.Client{}, URL: server.URL + "/none/", Now: func() time.Time { return now },
		Drive: collect.Drive{Labels: t.TempDir(), Mounts: "/dev/null"}.Read,
		Kept:  func() (metadata.Document, bool) { return metadata.Document{}, false },
	}
	for range 5 {
		if _, err := c.Collect(t.Context(), metadata.Settings{}); rest.StatusOf(err) != http.StatusNotFound {
			t.Errorf("nothing is there, and it says %v", err)
		}
	}
	if calls != 1 {
		t.Errorf("asked %d times in a row", calls)
	}
	now, c.URL = now.Add(time.Hour), server.URL+"/md/"
	var found collect.Found
	for range 3 {
		var err error
		if found, err = c.Collect(t.Context(), metadata.Settings{}); err != nil {
			t.Fatal(err)
		}
	}
	want := `{"instance-id":"i-1","placement":{"availability-zone":"nova"},"public-keys":{"0":{"openssh-key":"ssh-rsa x"}}}`
	if got := string(found.Docs[0].Raw); got != want || calls != 8 {
		t.Errorf("after %d calls: %s", calls, got)
	}
}

func TestAConfigurationDriveIsReadWhereItIsMountedOrMounted(t *testing.T) {
	dir := t.TempDir()
	content := func(where, text string) {
		path := filepath.Join(where, "ec2", "latest")
		if err := errors.Join(os.MkdirAll(path, 0o755), os.WriteFile(filepath.Join(path, "meta-data.json"), []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	device, mounts, at := filepath.Join(dir, "sr0"), filepath.Join(dir, "mounts"), filepath.Join(dir, "at it")
	content(at, `{"instance-id":"i-2"}`)
	err := errors.Join(os.WriteFile(device, nil, 0o600), os.Symlink(device, filepath.Join(dir, "config-2")), os.WriteFile(mounts, nil, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	unmounted := 0
	drive := collect.Drive{Labels: dir, Mounts: mounts, Mount: func(got, where string) (func() error, error) {
		content(where, `{"instance-id":"i-3"}`)
		return func() error { unmounted++; return os.RemoveAll(filepath.Join(where, "ec2")) }, nil
	}}
	if raw, err := drive.Read(); err != nil || !strings.Contains(string(raw), "i-3") || unmounted != 1 {
		t.Errorf("mounted by us: %s, %v", raw, err)
	}
	if err := os.WriteFile(mounts, []byte(device+" "+strings.ReplaceAll(at, " ", `\040`)+" iso9660 ro 0 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if raw, err := drive.Read(); err != nil || !strings.Contains(string(raw), "i-2") || unmounted != 1 {
		t.Errorf("mounted by others: %s, %v", raw, err)
	}
}

func TestTheFirstMetadataIsReadFromUserData(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cfn-init-data")
	c := &collect.HeatLocal{Path: path}
	if _, err := c.Collect(context.Background(), metadata.Settings{}); !errors.Is(err, collect.ErrNotConfigured) {
		t.Errorf("without the file: %v", err)
	}
	if err := os.WriteFile(path, []byte(`{"deployments":[{"id":"d"}]}`), 0o640); err != nil {
		t.Fatal(err)
	}
	if found, err := c.Collect(t.Context(), metadata.Settings{}); err != nil || ids(t, found) != "d" {
		t.Errorf("%v", err)
	}
}

func FuzzResourceDetail(f *testing.F) {
	f.Add([]byte(`<DescribeStackResourceResponse><DescribeStackResourceResult><StackResourceDetail><Other>x</Other><Metadata>{"a": "&lt;"}</Metadata></StackResourceDetail></DescribeStackResourceResult></DescribeStackResourceResponse>`))
	f.Add([]byte(`<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><DescribeStackResourceResponse><DescribeStackResourceResult><StackResourceDetail><Metadata>&e;</Metadata></StackResourceDetail></DescribeStackResourceResult></DescribeStackResourceResponse>`))
	f.Add([]byte(`<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		value, err := collect.ResourceDetail(raw, "Metadata")
		if err != nil {
			return
		}
		if !json.Valid(value) {
			t.Fatalf("%q is not JSON", value)
		}
		if strings.Contains(string(value), "root:x:0") {
			t.Fatal("read a file of this machine")
		}
	})
}
