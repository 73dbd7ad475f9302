package rest_test

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway.build/slipway/agent/heat/rest"
)

func TestErrorsNameNeitherQueriesNorSecrets(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"error":"password=hunter2 is wrong"}`, http.StatusForbidden)
	}))
	defer server.Close()
	var client rest.Client
	_, err := client.Do(t.Context(), rest.Request{Method: "GET", URL: server.URL + "/path?Signature=secret"})
	if rest.StatusOf(err) != http.StatusForbidden || !strings.Contains(err.Error(), "/path") {
		t.Errorf("error %v", err)
	}
	gone := server.URL
	server.Close()
	_, lost := client.Do(t.Context(), rest.Request{Method: "GET", URL: gone + "/path?Signature=secret"})
	for _, err := range []error{err, lost} {
		if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error %v", err)
		}
	}
}

func TestATokenDoesNotFollowARedirectToAnotherHost(t *testing.T) {
	var seen []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("X-Auth-Token"))
	}))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	defer server.Close()
	var client rest.Client
	_, err := client.Do(t.Context(), rest.Request{Method: "GET", URL: server.URL, Header: map[string]string{"X-Auth-Token": "t"}})
	if err == nil || len(seen) != 0 {
		t.Errorf("followed: %v, %v", seen, err)
	}
}

func TestAnAuthorityThatArrivesLaterIsBelieved(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	path := filepath.Join(t.TempDir(), "openstack-ca.pem")
	client := rest.Client{Roots: func() (*x509.CertPool, error) { return rest.ReadRoots(path) }}
	call := func() error {
		_, err := client.Do(t.Context(), rest.Request{Method: "GET", URL: server.URL})
		return err
	}
	if err := call(); err == nil {
		t.Fatal("a server of an unknown authority was believed")
	}
	raw := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := call(); err != nil {
		t.Errorf("the authority is there, and the agent was not restarted: %v", err)
	}
}

func TestAnEndlessAnswerIsGivenUp(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	var client rest.Client
	if _, err := client.Do(t.Context(), rest.Request{Method: "GET", URL: server.URL}); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("error %v", err)
	}
}
