//go:build acceptance

package acceptance

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"testing"

	"slipway.build/slipway/test/harness"
)

// admin is what a cluster's kubeconfig holds.
type admin struct {
	server string
	roots  *x509.CertPool
	pair   tls.Certificate
}

// strangers checks that neither of two clusters' API servers takes the other's administrator for
// its own, and that neither's kubeconfig takes the other's API server for the cluster's.
func strangers(t *testing.T, one, two harness.Kubectl) {
	t.Helper()
	a, b := adminOf(t, one), adminOf(t, two)
	for name, test := range map[string]struct {
		server, as admin
		status     int
	}{
		"one's at one": {a, a, http.StatusOK},
		"two's at two": {b, b, http.StatusOK},
		"one's at two": {b, a, http.StatusUnauthorized},
		"two's at one": {a, b, http.StatusUnauthorized},
	} {
		if status := test.server.answers(t, test.as.pair); status != test.status {
			t.Errorf("the administrator %s: %d, want %d", name, status, test.status)
		}
	}
	if out, err := one.Try("--server", b.server, "get", "nodes", "--request-timeout=5s"); err == nil {
		t.Errorf("the kubeconfig of one works with two: %s", out)
	}
}

func adminOf(t *testing.T, k harness.Kubectl) admin {
	t.Helper()
	field := func(path string) string {
		return k.Run(t, "config", "view", "--raw", "--minify", "-o", "jsonpath={"+path+"}")
	}
	secret := func(path string) []byte {
		b, err := base64.StdEncoding.DecodeString(field(path))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		return b
	}
	a := admin{server: field(".clusters[0].cluster.server"), roots: x509.NewCertPool()}
	if !a.roots.AppendCertsFromPEM(secret(".clusters[0].cluster.certificate-authority-data")) {
		t.Fatal("the kubeconfig holds no CA certificate")
	}
	var err error
	if a.pair, err = tls.X509KeyPair(secret(".users[0].user.client-certificate-data"), secret(".users[0].user.client-key-data")); err != nil {
		t.Fatal(err)
	}
	return a
}

// answers calls the API server with a client's certificate, also with one of a CA that it does
// not ask for, and returns the status.
func (a admin) answers(t *testing.T, pair tls.Certificate) int {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{
			RootCAs:              a.roots,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil },
		},
	}}
	answer, err := client.Get(a.server + "/api/v1/nodes")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}
