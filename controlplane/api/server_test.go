package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestDiscovery(t *testing.T) {
	h := newHarness(t)
	h.golden("versions", h.do("GET", "/", ""))
	h.golden("version-1", h.do("GET", "/v1/", ""))
	if a := h.do("GET", "/healthcheck", ""); a.status != 200 || string(a.body) != "OK" {
		t.Errorf("healthcheck: %d %s", a.status, a.body)
	}
}

func TestMicroversions(t *testing.T) {
	h := newHarness(t)
	for _, c := range []struct {
		header string
		status int
		served string
	}{
		{"", 200, "1.1"},
		{"container-infra 1.1", 200, "1.1"},
		{"container-infra 1.12", 200, "1.12"},
		{"container-infra latest", 200, "1.12"},
		{"container-infrastructure-management 1.7", 200, "1.7"},
		{"container-infrastructure 1.7", 200, "1.7"},
		{"foo latest", 200, "1.12"},
		{"container-infra 1.13", 406, "1.1"},
		{"container-infra 1.0", 406, "1.1"},
		{"container-infra 2.1", 406, "1.1"},
		{"container-infra 1", 406, "1.1"},
		{"container-infra x.y", 406, "1.1"},
		{"container-infra -1.-1", 406, "1.1"},
		{"compute 1.5", 406, "1.1"},
		{"1.5", 406, "1.1"},
	} {
		t.Run(c.header, func(t *testing.T) {
			a := h.do("GET", "/v1/clusters", "", versionHeader, c.header)
			if a.status != c.status {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if got := a.header.Get(versionHeader); got != serviceType+" "+c.served {
				t.Errorf("served %q, want %s", got, c.served)
			}
			for name, want := range map[string]string{
				"OpenStack-API-Minimum-Version": "container-infra 1.1",
				"OpenStack-API-Maximum-Version": "container-infra 1.12",
				"Vary":                          versionHeader,
			} {
				if got := a.header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if a.header.Get("X-Openstack-Request-Id") == "" {
				t.Error("no request id")
			}
			if c.status == 406 {
				checkProblem(t, a, 406, "")
			}
		})
	}
	h.golden("version-unsupported", h.do("GET", "/v1/clusters", "", versionHeader, "container-infra 1.99"))
	checkProblem(t, h.do("GET", "/v1/clusters/x/nodegroups", "", versionHeader, "container-infra 1.8"), 406, "does not know nodegroups")
}

func TestUnknownPathsAndMethods(t *testing.T) {
	h := newHarness(t)
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/v1/nothing", 404}, {"GET", "/v2/clusters", 404}, {"GET", "/v1/clusters/a/b/c", 404}, {"POST", "/v1/nothing", 404},
		{"PUT", "/v1/clusters", 405}, {"PATCH", "/v1/certificates", 405}, {"DELETE", "/v1/clusters", 405}, {"POST", "/v1/clusters/x", 405},
	} {
		checkProblem(t, h.do(c.method, c.path, ""), c.status, "")
	}
	if a := h.do("PUT", "/v1/clusters", ""); a.header.Get("Allow") != "GET, POST" {
		t.Errorf("allow %q", a.header.Get("Allow"))
	}
}

func TestTemplates(t *testing.T) {
	h := newHarness(t)
	h.golden("template-list", h.do("GET", "/v1/clustertemplates", ""))
	a := h.do("POST", "/v1/clustertemplates", `{"name":"mine","coe":"kubernetes","image_id":"slipway-node","labels":{"a":1},"apiserver_port":"6443"}`)
	h.golden("template-create", a)
	if location := a.header.Get("Location"); !strings.HasPrefix(location, h.server.URL+"/v1/clustertemplates/") {
		t.Errorf("location %q", location)
	}
	h.golden("template-show", h.do("GET", "/v1/clustertemplates/"+ProductionTemplateID, ""))
	checkProblem(t, h.do("GET", "/v1/clustertemplates/none", ""), 404, "ClusterTemplate none could not be found.")
	if a := h.do("POST", "/v1/clustertemplates", `{"name":"mine","coe":"kubernetes","image_id":"slipway-node"}`); a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	checkProblem(t, h.do("GET", "/v1/clustertemplates/mine", ""), 409, "Multiple clustertemplates exist with same name.")
	for name, c := range map[string]struct{ body, detail string }{
		"no coe":            {`{"image_id":"i"}`, "attribute coe. Value: 'None'. Mandatory field missing."},
		"another coe":       {`{"coe":"swarm","image_id":"i"}`, "attribute coe. Value: 'swarm'."},
		"no image":          {`{"coe":"kubernetes"}`, "attribute image_id."},
		"an unknown flavor": {`{"coe":"kubernetes","image_id":"i","flavor_id":"nope"}`, "Unable to find flavor nope."},
		"a low port":        {`{"coe":"kubernetes","image_id":"i","apiserver_port":80}`, "attribute apiserver_port. Value: '80'. Value should be greater or equal to 1024"},
		"another network":   {`{"coe":"kubernetes","image_id":"i","network_driver":"docker"}`, "attribute network_driver."},
		"a bad name server": {`{"coe":"kubernetes","image_id":"i","dns_nameserver":"8.8.8.8,x"}`, "Expected a single dns address or comma separated dns list, but received 8.8.8.8,x."},
		"no TLS":            {`{"coe":"kubernetes","image_id":"i","tls_disabled":true}`, "tls_disabled"},
		"an unknown field":  {`{"coe":"kubernetes","image_id":"i","kubernetes":1}`, "Unknown attribute: kubernetes"},
		"a small volume":    {`{"coe":"kubernetes","image_id":"i","docker_storage_driver":"devicemapper","docker_volume_size":2}`, "docker volume size 2 GB is not valid"},
	} {
		t.Run(name, func(t *testing.T) {
			before := h.dump()
			checkProblem(t, h.do("POST", "/v1/clustertemplates", c.body), 400, c.detail)
			if h.dump() != before {
				t.Error("the database has changed")
			}
		})
	}
}

func TestSeedingAgainChangesNothingAndANewReleaseReplaces(t *testing.T) {
	h := newHarness(t)
	certified := Certified{Kubernetes: "v1.36.3", Release: "20261121", Image: "slipway-node", Flavor: "c1.c2r4", Master: "c1.c4r8", External: "public"}
	before := h.dump()
	if err := SeedTemplates(t.Context(), h.store, certified); err != nil {
		t.Fatal(err)
	}
	if h.dump() != before {
		t.Error("seeding again has changed the database")
	}
	certified.Kubernetes = "v1.36.4"
	if err := SeedTemplates(t.Context(), h.store, certified); err != nil {
		t.Fatal(err)
	}
	if a := h.do("GET", "/v1/clustertemplates/kubernetes-v1.36.4-prod-20261121", ""); a.status != 200 || !strings.Contains(string(a.body), ProductionTemplateID) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestCertificates(t *testing.T) {
	h := newHarness(t)
	id := h.create("k8s")
	show := func(query string) string {
		t.Helper()
		a := h.do("GET", "/v1/certificates/k8s"+query, "")
		var c struct {
			ClusterUUID string `json:"cluster_uuid"`
			PEM         string
		}
		if err := json.Unmarshal(a.body, &c); err != nil || a.status != 200 || c.ClusterUUID != id {
			t.Fatalf("%d %s", a.status, a.body)
		}
		return c.PEM
	}
	kubernetes := show("")
	if show("?ca_cert_type=kubernetes") != kubernetes || show("?ca_cert_type=kubelet") != kubernetes {
		t.Error("the types without, kubernetes and kubelet differ")
	}
	if show("?ca_cert_type=etcd") == kubernetes || show("?ca_cert_type=front-proxy") != show("?ca_cert_type=front_proxy") {
		t.Error("etcd's is kubernetes', or the two spellings of front-proxy differ")
	}
	checkProblem(t, h.do("GET", "/v1/certificates/k8s?ca_cert_type=x", ""), 400, "attribute ca_cert_type. Value: 'x'.")
	checkProblem(t, h.do("GET", "/v1/certificates/none", ""), 404, "Cluster none could not be found.")

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}}}, key)
	if err != nil {
		t.Fatal(err)
	}
	csr := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	body := func(fields map[string]string) string {
		text, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	a := h.do("POST", "/v1/certificates", body(map[string]string{"cluster_uuid": id, "csr": csr}))
	var signed struct{ PEM, CSR string }
	if err := json.Unmarshal(a.body, &signed); err != nil || a.status != http.StatusCreated || signed.CSR != csr {
		t.Fatalf("%d %s", a.status, a.body)
	}
	block, _ := pem.Decode([]byte(signed.PEM))
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(kubernetes))
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: time.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil || leaf.Subject.CommonName != "admin" {
		t.Errorf("subject %s: %v", leaf.Subject, err)
	}
	before := h.dump()
	for detail, request := range map[string]string{
		"Cluster none could not be found.":           body(map[string]string{"cluster_uuid": "none", "csr": csr}),
		"Received invalid csr":                       body(map[string]string{"cluster_uuid": id, "csr": "x"}),
		"Only requests for the kubernetes authority": body(map[string]string{"cluster_uuid": id, "csr": csr, "ca_cert_type": "etcd"}),
		"attribute csr. Value: 'None'. Mandatory":    body(map[string]string{"cluster_uuid": id}),
		"attribute csr. Value: '":                    body(map[string]string{"cluster_uuid": id, "csr": strings.Repeat("x", 70000)}),
	} {
		checkProblem(t, h.do("POST", "/v1/certificates", request), 400, detail)
	}
	if h.dump() != before {
		t.Error("refused requests have changed the database")
	}
	if a := h.do("DELETE", "/v1/clusters/k8s", ""); a.status != 204 {
		t.Fatal(a.status)
	}
	checkProblem(t, h.do("POST", "/v1/certificates", body(map[string]string{"cluster_uuid": id, "csr": csr})), 400, "DELETE_IN_PROGRESS")
}

func TestForeignOriginIsRefusedInMagnumsForm(t *testing.T) {
	h := newHarness(t)
	before := h.dump()
	checkProblem(t, h.do("POST", "/v1/clusters", paperRequest, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"), 403, "other origins")
	if h.dump() != before {
		t.Error("the database has changed")
	}
}

func FuzzCreateBody(f *testing.F) {
	f.Add([]byte(paperRequest))
	f.Add([]byte(`{"labels":{"a":1.0,"b":true},"node_count":"3"}`))
	f.Add([]byte(`{"name":null,"name":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := parseBody(text, clusterFields())
		if err != nil {
			if status := statusOf(err); status != http.StatusBadRequest {
				t.Fatalf("status %d: %v", status, err)
			}
			return
		}
		if b.text("cluster_template_id") == nil {
			t.Fatal("a mandatory field is missing")
		}
		if n := b.integer("master_count"); n != nil && *n < 1 {
			t.Fatalf("master_count %d", *n)
		}
		if n := b.integer("node_count"); n != nil && *n < 0 {
			t.Fatalf("node_count %d", *n)
		}
	})
}
