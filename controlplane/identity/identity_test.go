package identity

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestWithoutKeystoneOnlyLoopbackIsListenedOn(t *testing.T) {
	for address, allowed := range map[string]bool{
		"127.0.0.1:9511": true, "127.8.9.1:9511": true, "[::1]:9511": true, "localhost:9511": true, "[::ffff:127.0.0.1]:1": true,
		"0.0.0.0:9511": false, ":9511": false, "[::]:9511": false, "172.29.0.1:9511": false, "control.example:9511": false, "127.0.0.1": false,
	} {
		if err := CheckListen(address); (err == nil) != allowed {
			t.Errorf("%s: %v, want allowed %v", address, err, allowed)
		}
	}
}

func TestWithoutKeystoneBrowsersOfOtherOriginsAreRefused(t *testing.T) {
	handler := Require(NewNone(), func(w http.ResponseWriter, _ *http.Request, status int, err error) {
		http.Error(w, err.Error(), status)
	}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c := FromContext(r.Context()); c.ProjectID != LocalProject || c.Actor() != "user:local" {
			t.Errorf("caller %+v", c)
		}
	}))
	for name, c := range map[string]struct {
		host, origin, fetchSite string
		status                  int
	}{
		"a client on this machine":                {"127.0.0.1:9511", "", "", 200},
		"a client by name":                        {"localhost:9511", "", "", 200},
		"a client over IPv6":                      {"[::1]:9511", "", "", 200},
		"a page of another site":                  {"127.0.0.1:9511", "https://evil.example", "cross-site", 403},
		"an old browser's page of another site":   {"127.0.0.1:9511", "https://evil.example", "", 403},
		"a name that was rebound to this machine": {"evil.example:9511", "http://evil.example:9511", "same-origin", 403},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/v1/clusters", nil)
			r.Host = c.host
			if c.origin != "" {
				r.Header.Set("Origin", c.origin)
			}
			if c.fetchSite != "" {
				r.Header.Set("Sec-Fetch-Site", c.fetchSite)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != c.status {
				t.Errorf("status %d, want %d: %s", w.Code, c.status, w.Body)
			}
		})
	}
}

func TestHandlerWithoutAuthenticationPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("served without a caller")
		}
	}()
	FromContext(t.Context())
}
