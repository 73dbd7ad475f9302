package pull_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/pull"
	"slipway.build/slipway/agent/testimage"
)

func TestTheIndexMustLeadToTheManifest(t *testing.T) {
	image := testimage.New(t, "etcd", testimage.Zstd, []testimage.File{file("usr/bin/etcd", "etcd", 50_000)})
	index := func(manifest string) []byte {
		raw, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []any{map[string]any{"digest": manifest, "size": 1}}})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	right := index(image.Platform().Manifest)
	other := index("sha256:" + strings.Repeat("0", 64))
	for name, tt := range map[string]struct {
		digest string // by the lock
		served []byte // nil for none
		fails  bool
	}{
		"right":               {testimage.Digest(right), right, false},
		"not in the registry": {testimage.Digest(right), nil, false},
		"other bytes":         {testimage.Digest(right), other, true},
		"another manifest":    {testimage.Digest(other), other, true},
		"not JSON":            {testimage.Digest([]byte("x")), []byte("x"), true},
	} {
		t.Run(name, func(t *testing.T) {
			server := testimage.NewRegistry(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if tt.served != nil && strings.HasSuffix(r.URL.Path, "/manifests/"+tt.digest) {
						_, _ = w.Write(tt.served)
						return
					}
					next.ServeHTTP(w, r)
				})
			}, image)
			p := newPuller(t)
			w := want(image)
			w.Index = tt.digest
			err := p.Pull(soon(t), []pull.Want{w}, []string{server.URL}, nil)
			if tt.fails != fault.IsTerminal(err) || !tt.fails && err != nil {
				t.Errorf("error %v", err)
			}
			if left := leftovers(t, p.Store); tt.fails && len(left) != 0 {
				t.Errorf("left over: %v", left)
			}
		})
	}
}
