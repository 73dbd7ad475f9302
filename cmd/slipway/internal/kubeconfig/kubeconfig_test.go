package kubeconfig

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"slipway.build/slipway/cmd/slipway/internal/apiclient"
)

// authority is a CA in memory that signs what it is asked to, with the given usage.
type authority struct {
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
	usage   x509.ExtKeyUsage
	subject pkix.Name // of the last request
	err     error
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "k8s"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert: cert, key: key, usage: x509.ExtKeyUsageClientAuth}
}

func (a *authority) CACertificate(context.Context, string) (string, error) {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})), nil
}

func (a *authority) SignCertificate(_ context.Context, _, csr string) (string, error) {
	if a.err != nil {
		return "", a.err
	}
	block, _ := pem.Decode([]byte(csr))
	req, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return "", err
	}
	a.subject = req.Subject
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(2), Subject: req.Subject,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{a.usage}}, a.cert, req.PublicKey, a.key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), nil
}

func TestAKubeconfigEmbedsKeyCertificateAndCA(t *testing.T) {
	for _, kind := range []KeyKind{P256, RSA} {
		t.Run(string(kind), func(t *testing.T) {
			a := newAuthority(t)
			out, err := New(t.Context(), a, &apiclient.Cluster{Name: "k8s", UUID: "u", APIAddress: "https://172.29.0.10:6443"}, kind)
			if err != nil {
				t.Fatal(err)
			}
			if a.subject.CommonName != "admin" || len(a.subject.Organization) != 1 || a.subject.Organization[0] != "system:masters" {
				t.Errorf("the request's subject is %v", a.subject)
			}
			var got config
			if err := yaml.UnmarshalStrict(out, &got); err != nil {
				t.Fatal(err)
			}
			if got.Clusters[0].Cluster.Server != "https://172.29.0.10:6443" || got.CurrentContext != "k8s" || got.Contexts[0].Context.User != got.Users[0].Name {
				t.Errorf("kubeconfig:\n%s", out)
			}
			if !bytes.Contains(got.Users[0].User.Key, []byte("PRIVATE KEY")) {
				t.Error("the key is not PEM")
			}
			if !strings.Contains(string(out), base64.StdEncoding.EncodeToString(got.Clusters[0].Cluster.CA)) {
				t.Error("certificate-authority-data is not base64")
			}
		})
	}
}

func TestACertificateThatIsNoGoodIsRefused(t *testing.T) {
	cluster := &apiclient.Cluster{Name: "k8s", UUID: "u", APIAddress: "https://172.29.0.10:6443"}
	t.Run("for servers only", func(t *testing.T) {
		a := newAuthority(t)
		a.usage = x509.ExtKeyUsageServerAuth
		if _, err := New(t.Context(), a, cluster, P256); err == nil || !strings.Contains(err.Error(), "does not verify") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("refused by the server", func(t *testing.T) {
		a := newAuthority(t)
		a.err = errors.New("Received invalid csr")
		if _, err := New(t.Context(), a, cluster, P256); !errors.Is(err, a.err) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("for a cluster without address", func(t *testing.T) {
		if _, err := New(t.Context(), newAuthority(t), &apiclient.Cluster{Name: "k8s", Status: "CREATE_IN_PROGRESS"}, P256); err == nil || !strings.Contains(err.Error(), "no API address yet") {
			t.Errorf("got %v", err)
		}
	})
}
