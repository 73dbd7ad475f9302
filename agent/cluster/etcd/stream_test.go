package etcd

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
)

// store is a snapshot of 64 KiB with its sum.
func store() []byte {
	raw := make([]byte, 64<<10)
	_, _ = rand.Read(raw)
	sum := sha256.Sum256(raw)
	return append(raw, sum[:]...)
}

// chunks is a stream as the gateway sends it.
func chunks(raw []byte, size int) string {
	var out strings.Builder
	for len(raw) > 0 {
		n := min(size, len(raw))
		line, _ := json.Marshal(map[string]any{"result": map[string]any{"remaining_bytes": fmt.Sprint(len(raw) - n), "blob": raw[:n], "version": "3.6"}})
		out.Write(append(line, '\n'))
		raw = raw[n:]
	}
	return out.String()
}

// serve returns a client of a member that answers like this.
func serve(t *testing.T, stream http.HandlerFunc) *Client {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+statusPath, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"header":{"cluster_id":"1","member_id":"2"},"dbSize":"65536","dbSizeInUse":"65536","leader":"2"}`)
	})
	mux.HandleFunc("POST /v3/maintenance/snapshot", stream)
	s := httptest.NewUnstartedServer(mux)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	c := New(plan.API{Server: s.URL, CA: ca, Certificate: "none"}, t.TempDir())
	t.Cleanup(c.Close)
	return c
}

func TestAStreamThatIsNotWholeIsNoSnapshot(t *testing.T) {
	good := store()
	flipped := bytes.Clone(good)
	flipped[1000] ^= 1
	for name, test := range map[string]struct{ body, says string }{
		"a byte that changed":     {chunks(flipped, 32<<10), "its sha256 is"},
		"the sum is missing":      {chunks(good[:len(good)-sha256.Size], 32<<10), "no store with its sum"},
		"the second half missing": {chunks(good[:len(good)/2], 32<<10), "no store with its sum"},
		"nothing at all":          {"", "0 bytes"},
		"an error in the middle":  {chunks(good[:32<<10], 32<<10) + `{"error":{"code":14,"message":"etcdserver: server stopped"}}` + "\n", "server stopped"},
		"no JSON":                 {chunks(good[:32<<10], 32<<10) + "<html>\n", "read the snapshot"},
		"half a line":             {chunks(good, 32<<10)[:70000], "read the snapshot"},
		"no base64":               {`{"result":{"blob":"***"}}` + "\n", "read the snapshot"},
		"a line without an end":   {`{"result":{"blob":"` + strings.Repeat("A", 3<<20), "token too long"},
		"more after the sum":      {chunks(append(bytes.Clone(good), good...), 32<<10), "no store with its sum"},
		"an empty line, no blob":  {"\n{\"result\":{}}\n{}\n", "0 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, test.body) })
			dir := t.TempDir()
			var err error
			// It is tried until its time is over; how long one try takes is the machine's matter.
			for limit := 100 * time.Millisecond; limit < time.Minute; limit *= 3 {
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				_, err = c.Snapshot(ctx, plan.Snapshot{Dir: dir, Keep: 1}, "save", 1)
				cancel()
				if err == nil || strings.Contains(err.Error(), test.says) {
					break
				}
			}
			if err == nil || !strings.Contains(err.Error(), test.says) || fault.KindOf(err) != fault.Retriable {
				t.Errorf("error %v, want a retriable one that says %q", err, test.says)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestAStreamOfAnyChunksIsTheStore(t *testing.T) {
	good := store()
	for _, size := range []int{1000, 31, 32 << 10, len(good)} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, chunks(good, size)) })
		out, err := c.Snapshot(t.Context(), plan.Snapshot{Dir: t.TempDir(), Keep: 1}, "save", 1)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(out["path"])
		if err != nil || !bytes.Equal(raw, good) || out["sha256"] != fmt.Sprintf("%x", sha256.Sum256(good)) || out["size"] != fmt.Sprint(len(good)) {
			t.Errorf("chunks of %d: %v (%v)", size, out, err)
		}
	}
}

func TestASnapshotLeavesAForeignFileOfItsNameAlone(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, chunks(store(), 32<<10)) })
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "save-0000000001.db")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Snapshot(t.Context(), plan.Snapshot{Dir: dir, Keep: 1}, "save", 1); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(outside); err != nil || string(raw) != "kept" {
		t.Errorf("a symbolic link was followed: %q (%v)", raw, err)
	}
}

func TestMembersAreFoundByAllThatIsGiven(t *testing.T) {
	list := members{all: []Member{
		{ID: 0xa1, Name: "m1", PeerURLs: []string{"https://10.0.0.1:2380"}},
		{ID: 0xa2, Name: "m2", PeerURLs: []string{"https://10.0.0.2:2380", "https://10.0.1.2:2380"}},
		{ID: 0xa3, Name: "m2", PeerURLs: []string{"https://10.0.0.3:2380"}},
	}}
	for name, test := range map[string]struct {
		want  plan.Member
		found uint64
		fails bool
	}{
		"by id":                 {plan.Member{ID: "a1"}, 0xa1, false},
		"by name":               {plan.Member{Name: "m1"}, 0xa1, false},
		"by peer URLs":          {plan.Member{PeerURLs: []string{"https://10.0.1.2:2380", "https://10.0.0.2:2380"}}, 0xa2, false},
		"by some peer URLs":     {plan.Member{PeerURLs: []string{"https://10.0.0.2:2380"}}, 0, false},
		"by name and peer URLs": {plan.Member{Name: "m2", PeerURLs: []string{"https://10.0.0.3:2380"}}, 0xa3, false},
		"not at all":            {plan.Member{Name: "m1", ID: "a2"}, 0, false},
		"a name of two":         {plan.Member{Name: "m2"}, 0, true},
	} {
		found, err := list.find(test.want)
		var got uint64
		if found != nil {
			got = found.ID
		}
		if got != test.found || (err != nil) != test.fails {
			t.Errorf("%s: found %x, error %v", name, got, err)
		}
	}
}

func TestAnAlarmIsToldFromOtherComplaints(t *testing.T) {
	for text, want := range map[string]Alarm{
		"memberID:10276657743932975437 alarm:NOSPACE ": {"NOSPACE", "8e9e05c52164694d"},
		"alarm:CORRUPT":          {"CORRUPT", ""},
		"etcdserver: no leader":  {},
		"memberID:x alarm:OTHER": {},
	} {
		if got, ok := parseAlarm(text); ok != (want != Alarm{}) || ok && got != want {
			t.Errorf("%q: %+v, %v", text, got, ok)
		}
	}
}

func TestARefusalThatNoRetryHealsIsTerminal(t *testing.T) {
	for raw, want := range map[string]fault.Kind{
		`{"error":"x","code":3,"message":"etcdserver: bad"}`:   fault.Terminal,
		`{"error":"x","code":14,"message":"etcdserver: away"}`: fault.Retriable,
		`<html>`: fault.Retriable,
	} {
		err := refusal(400, []byte(raw))
		var etcd *Error
		if fault.KindOf(err) != want || !errors.As(err, &etcd) {
			t.Errorf("%s: %v", raw, err)
		}
	}
}
