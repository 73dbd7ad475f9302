package etcd

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"testing"
)

// answering is a transport whose every answer is these bytes.
type answering []byte

func (a answering) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(a)), Header: http.Header{}}, nil
}

// FuzzSnapshot feeds foreign bytes as the answer to the question for a snapshot: what is taken for
// whole has the sum at its end that belongs to it.
func FuzzSnapshot(f *testing.F) {
	store := make([]byte, page)
	sum := sha256.Sum256(store)
	line, err := json.Marshal(map[string]any{"result": map[string]any{"blob": append(store, sum[:]...)}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add([]byte("{\"result\":{\"blob\":\"AAAA\"}}\n\n{\"error\":{\"code\":14,\"message\":\"gone\"}}"))
	f.Add([]byte(`{"result":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := &Client{endpoint: "http://etcd", http: &http.Client{Transport: answering(raw)}}
		var out bytes.Buffer
		made, err := c.stream(t.Context(), &out)
		if err != nil {
			return
		}
		stored := out.Bytes()
		want := sha256.Sum256(stored[:len(stored)-sha256.Size])
		if made.size != int64(len(stored)) || !bytes.Equal(want[:], stored[len(stored)-sha256.Size:]) {
			t.Fatalf("took %d bytes whose sum does not hold", len(stored))
		}
	})
}

// FuzzAnswers feeds foreign bytes as every other answer of etcd.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"header":{"cluster_id":"1","member_id":"2"},"members":[{"ID":"2","name":"m","peerURLs":["https://a:2380"],"isLearner":true}]}`))
	f.Add([]byte(`{"dbSize":"1","leader":"2","errors":["memberID:12 alarm:NOSPACE"]}`))
	f.Add([]byte(`{"code":3,"message":"no"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := &Client{endpoint: "http://etcd", http: &http.Client{Transport: answering(raw)}}
		if list, err := c.members(t.Context()); err == nil {
			for _, m := range list.voters() {
				if m.Learner {
					t.Fatalf("%s is a learner", m)
				}
			}
		}
		if s, err := c.Status(t.Context()); err == nil {
			for _, a := range s.Alarms {
				if a.Kind != "NOSPACE" && a.Kind != "CORRUPT" {
					t.Fatalf("alarm %+v", a)
				}
			}
		}
		if err := refusal(http.StatusBadGateway, raw); err == nil || err.Error() == "" {
			t.Fatal("a refusal without words")
		}
	})
}
