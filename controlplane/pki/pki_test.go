package pki

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/store"
)

// memoryRecords keeps records in memory; the store's own are tested with the store.
type memoryRecords struct {
	mu      sync.Mutex
	records map[recordID]Record
}

func newMemoryRecords() *memoryRecords { return &memoryRecords{records: map[recordID]Record{}} }

func (m *memoryRecords) Record(_ context.Context, scope string, purpose Purpose) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	record, ok := m.records[recordID{scope, purpose}]
	if !ok {
		return Record{}, fmt.Errorf("%s of %q: %w", purpose, scope, ErrNoRecord)
	}
	return record, nil
}

func (m *memoryRecords) InsertRecord(_ context.Context, record Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := recordID{record.Scope, record.Purpose}
	if _, ok := m.records[id]; !ok {
		m.records[id] = record
	}
	return nil
}

func testSealer(t *testing.T) Sealer {
	t.Helper()
	s, err := store.OpenSealer(filepath.Join(t.TempDir(), "keys", "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func requestPEM(t *testing.T, key crypto.Signer, template *x509.CertificateRequest) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func certificate(t *testing.T, text string) *x509.Certificate {
	t.Helper()
	all, err := parseCertificates(text)
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

func TestClusterAuthoritiesAreOnePerPurposeAndKept(t *testing.T) {
	now := time.Now()
	records, sealer := newMemoryRecords(), testSealer(t)
	authorities := NewAuthorities(records, sealer, func() time.Time { return now })
	cluster := uuid.NewString()
	seen := map[string]bool{}
	for _, purpose := range Purposes() {
		made, err := authorities.Ensure(t.Context(), cluster, "k8s", purpose)
		if err != nil {
			t.Fatal(err)
		}
		c := made.Certificate
		if got, want := c.Subject.CommonName, "k8s "+string(purpose); got != want {
			t.Errorf("common name %q, want %q", got, want)
		}
		key, ok := c.PublicKey.(*rsa.PublicKey)
		if !ok || key.N.BitLen() != 2048 || c.SignatureAlgorithm != x509.SHA256WithRSA {
			t.Errorf("%s: key %T, signature %s; want RSA 2048 with SHA-256", purpose, c.PublicKey, c.SignatureAlgorithm)
		}
		if !c.IsCA || c.MaxPathLen != 0 || !c.MaxPathLenZero {
			t.Errorf("%s: CA %v, path length %d; want a CA of path length 0", purpose, c.IsCA, c.MaxPathLen)
		}
		if seen[string(c.Raw)] {
			t.Errorf("%s shares its certificate with another purpose", purpose)
		}
		seen[string(c.Raw)] = true
		// Another process on the same store finds the same authority.
		again, err := NewAuthorities(records, sealer, time.Now).Ensure(t.Context(), cluster, "k8s", purpose)
		if err != nil {
			t.Fatal(err)
		}
		if again.PEM() != made.PEM() {
			t.Errorf("%s was made twice", purpose)
		}
	}
	for id, record := range records.records {
		if strings.Contains(string(record.SealedKey), "PRIVATE") || len(record.SealedKey) == 0 {
			t.Errorf("key of %v is not sealed", id)
		}
	}
}

func TestConcurrentMakersGetTheSameAuthority(t *testing.T) {
	authorities := NewAuthorities(newMemoryRecords(), testSealer(t), time.Now)
	cluster := uuid.NewString()
	var wg sync.WaitGroup
	got := make([]string, 4)
	for i := range got {
		wg.Go(func() {
			a, err := authorities.Ensure(context.Background(), cluster, "k8s", Etcd)
			if err != nil {
				t.Error(err)
				return
			}
			got[i] = a.PEM()
		})
	}
	wg.Wait()
	for _, text := range got[1:] {
		if text != got[0] {
			t.Fatal("two makers got different authorities")
		}
	}
}

func TestLongClusterNameFitsTheCommonName(t *testing.T) {
	a, err := newClusterAuthority(strings.Repeat("k", 242), FrontProxy, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cn := a.Certificate.Subject.CommonName
	if len(cn) > maxCommonName || !strings.HasSuffix(cn, " front-proxy") {
		t.Errorf("common name %q", cn)
	}
}

func TestIssuedLeafVerifiesForItsUsageOnly(t *testing.T) {
	now := time.Now()
	a, err := newClusterAuthority("k8s", Kubernetes, now)
	if err != nil {
		t.Fatal(err)
	}
	text, err := a.Issue(ecKey(t).Public(), Leaf{
		CommonName: "kube-apiserver", DNSNames: []string{"kubernetes.default"}, IPs: []net.IP{net.IPv4(10, 254, 0, 1)},
		Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, Lifetime: time.Hour,
	}, now)
	if err != nil {
		t.Fatal(err)
	}
	leaf := certificate(t, text)
	if leaf.SignatureAlgorithm != x509.SHA256WithRSA {
		t.Errorf("signature is %s", leaf.SignatureAlgorithm)
	}
	if !leaf.NotAfter.Equal(now.Add(time.Hour).UTC().Truncate(time.Second)) {
		t.Errorf("not after %s, want one hour from %s", leaf.NotAfter, now)
	}
	for _, name := range []string{"kubernetes.default", "10.254.0.1"} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: a.Pool(), DNSName: name, CurrentTime: now}); err != nil {
			t.Errorf("as a server named %s: %v", name, err)
		}
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: a.Pool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err == nil {
		t.Error("a server's certificate verifies as a client's")
	}
	other, err := newClusterAuthority("k8s", Etcd, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: other.Pool(), CurrentTime: now}); err == nil {
		t.Error("the etcd authority verifies a certificate of the kubernetes authority")
	}
}

func TestIssueRefusesForeignKeysAndEmptyLeaves(t *testing.T) {
	a, err := newSystemAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	client := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	for name, c := range map[string]struct {
		key  crypto.PublicKey
		leaf Leaf
	}{
		"an RSA key":     {rsaKey.Public(), Leaf{CommonName: "a", Usages: client}},
		"no common name": {ecKey(t).Public(), Leaf{Usages: client}},
		"no usage":       {ecKey(t).Public(), Leaf{CommonName: "a"}},
	} {
		if _, err := a.Issue(c.key, c.leaf, time.Now()); err == nil {
			t.Errorf("%s was certified", name)
		}
	}
}

func TestLeafNeverOutlivesItsAuthority(t *testing.T) {
	now := time.Now()
	a, err := newSystemAuthority(now)
	if err != nil {
		t.Fatal(err)
	}
	leaf := Leaf{CommonName: "a", Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, Lifetime: 10 * AuthorityLifetime}
	text, err := a.Issue(ecKey(t).Public(), leaf, now)
	if err != nil {
		t.Fatal(err)
	}
	if c := certificate(t, text); c.NotAfter.After(a.Certificate.NotAfter) {
		t.Errorf("leaf ends %s, authority %s", c.NotAfter, a.Certificate.NotAfter)
	}
	if _, err := a.Issue(ecKey(t).Public(), leaf, a.Certificate.NotAfter.Add(time.Hour)); err == nil {
		t.Error("an expired authority still certifies")
	}
}

func extension(t *testing.T, id asn1.ObjectIdentifier, value any) pkix.Extension {
	t.Helper()
	der, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: id, Value: der}
}

func TestTenantRequests(t *testing.T) {
	now := time.Now()
	a, err := newClusterAuthority("k8s", Kubernetes, now)
	if err != nil {
		t.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	admin := pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}}
	type basic struct {
		IsCA       bool `asn1:"optional"`
		MaxPathLen int  `asn1:"optional,default:-1"`
	}
	tampered := func(text string) string {
		block, _ := pem.Decode([]byte(text))
		block.Bytes[len(block.Bytes)-1] ^= 1
		return string(pem.EncodeToMemory(block))
	}
	plain := requestPEM(t, key, &x509.CertificateRequest{Subject: admin})
	with := func(e ...pkix.Extension) string {
		return requestPEM(t, key, &x509.CertificateRequest{Subject: admin, ExtraExtensions: e})
	}
	for _, c := range []struct {
		name    string
		request string
		refused string // part of the error; empty when signed
	}{
		{"the clients' request is signed", plain, ""},
		{"digitalSignature and keyEncipherment are signed", with(extension(t, oidKeyUsage, asn1.BitString{Bytes: []byte{0xa0}, BitLength: 3})), ""},
		{"CA:false is signed", with(extension(t, oidBasicConstraints, basic{MaxPathLen: -1})), ""},
		{"client authentication is signed", with(extension(t, oidExtKeyUsage, []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 2}})), ""},
		{"CA:true is refused", with(extension(t, oidBasicConstraints, basic{IsCA: true, MaxPathLen: -1})), "CA certificates are not issued"},
		{"keyCertSign is refused", with(extension(t, oidKeyUsage, asn1.BitString{Bytes: []byte{0x04}, BitLength: 6})), "Extension 'keyUsage' not allowed"},
		{"code signing is refused", with(extension(t, oidExtKeyUsage, []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 3}})), "Extension 'extendedKeyUsage' not allowed"},
		{"an unknown extension is refused", with(extension(t, asn1.ObjectIdentifier{1, 2, 3, 4}, "x")), "Extension '1.2.3.4' not allowed"},
		{"a wrong signature is refused", tampered(plain), "signature was not made with its key"},
		{"an empty subject is refused", requestPEM(t, key, &x509.CertificateRequest{}), "no common name"},
		{"no PEM is refused", "hello", "no PEM"},
		{"a certificate instead of a request is refused", a.PEM(), "PEM block of type"},
		{"two blocks are refused", plain + plain, "after the PEM block"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, err := a.SignTenantRequest(c.request, 0, now)
			if c.refused != "" {
				if err == nil || !errors.Is(err, ErrBadRequest) || !strings.Contains(err.Error(), c.refused) {
					t.Fatalf("error %v, want one that says %q", err, c.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			leaf := certificate(t, text)
			if leaf.IsCA || leaf.Subject.CommonName != "admin" || leaf.Subject.Organization[0] != "system:masters" {
				t.Errorf("CA %v, subject %s", leaf.IsCA, leaf.Subject)
			}
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: a.Pool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
				t.Error(err)
			}
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: a.Pool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err == nil {
				t.Error("a client's certificate verifies as a server's")
			}
		})
	}
}

func TestOldClientsRequestOf1024BitsIsAccepted(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skipf("this Go makes no RSA 1024 key to test with: %v", err)
	}
	if _, err := ParseRequest(requestPEM(t, key, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "admin"}})); err != nil {
		t.Error(err)
	}
}

func TestSystemIsTheSameForAllReplicas(t *testing.T) {
	records, sealer := newMemoryRecords(), testSealer(t)
	first, err := OpenSystem(t.Context(), records, sealer, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	second, err := OpenSystem(t.Context(), records, sealer, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if first.PEM() != second.PEM() || first.Plans.PlanKey() != second.Plans.PlanKey() {
		t.Error("two openings of one store differ")
	}
	if _, err := OpenSystem(t.Context(), records, testSealer(t), time.Now); err == nil {
		t.Error("another sealing key opened the records")
	}
}

func TestNodeIdentityNamesTheNode(t *testing.T) {
	system, err := OpenSystem(t.Context(), newMemoryRecords(), testSealer(t), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	id := uuid.New()
	text, err := system.IssueNode(ecKey(t).Public(), id)
	if err != nil {
		t.Fatal(err)
	}
	got, err := NodeOf(certificate(t, text))
	if err != nil || got != id.String() {
		t.Errorf("node %q, %v; want %s", got, err, id)
	}
	for _, cn := range []string{"", "admin", "node:", "node:x", "node:" + strings.ToUpper(id.String()), "node:{" + id.String() + "}"} {
		if _, err := NodeOf(&x509.Certificate{Subject: pkix.Name{CommonName: cn}}); err == nil {
			t.Errorf("%q counts as a node", cn)
		}
	}
}

func TestServerCertificateIsRenewedAtHalfItsLife(t *testing.T) {
	now := time.Now()
	system, err := OpenSystem(t.Context(), newMemoryRecords(), testSealer(t), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	get, err := system.ServerCertificates("127.0.0.1", "control.example")
	if err != nil {
		t.Fatal(err)
	}
	first, err := get(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "control.example"} {
		if err := first.Leaf.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	now = now.Add(serverLifetime/2 - time.Hour)
	if same, err := get(nil); err != nil || same != first {
		t.Errorf("renewed too early (%v)", err)
	}
	now = now.Add(2 * time.Hour)
	if next, err := get(nil); err != nil || next == first {
		t.Errorf("not renewed (%v)", err)
	}
}

func TestPlanEnvelopeOpensWithThePublishedKeyOnly(t *testing.T) {
	system, err := OpenSystem(t.Context(), newMemoryRecords(), testSealer(t), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	id := uuid.NewString()
	signed := &plan.Plan{
		Schema: plan.Schema, Node: plan.Node{ID: id, Name: "n", Cluster: uuid.NewString(), Role: "worker", Address: "10.0.0.5"},
		Generation: 1, Deployment: uuid.NewString(), Lock: plan.DigestOf(nil), Registries: []string{"http://registry.example:5000"},
		Images: []plan.Image{}, Units: []plan.Unit{}, Deadline: plan.Duration(time.Minute),
	}
	signed.Issue(time.Now(), time.Hour)
	canonical, err := signed.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	digest := plan.DigestOf(canonical)
	envelope, err := system.Plans.Sign(t.Context(), canonical)
	if err != nil {
		t.Fatal(err)
	}
	p, got, err := plan.Open(t.Context(), envelope, []protocol.PlanKey{system.Plans.PlanKey()})
	if err != nil || p.Node.ID != id || got != digest {
		t.Fatalf("node %v, digest %s, want %s: %v", p, got, digest, err)
	}
	other, err := OpenSystem(t.Context(), newMemoryRecords(), testSealer(t), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Plans.Open(t.Context(), envelope); err == nil {
		t.Error("a plan signed by another control plane was opened")
	}
}

func FuzzTenantRequest(f *testing.F) {
	a, err := newSystemAuthority(time.Now())
	if err != nil {
		f.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "admin"}}, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})))
	f.Add("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		signed, err := a.SignTenantRequest(text, 0, time.Now())
		if err != nil {
			return
		}
		if all, err := parseCertificates(signed); err != nil || all[0].IsCA {
			t.Fatalf("signed a CA or nonsense: %v", err)
		}
	})
}
