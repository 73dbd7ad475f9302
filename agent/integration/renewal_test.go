package integration

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/test/testnode"
)

// certificateLife is how long the certificates of the node and its components live in these tests:
// short, so that they are renewed all the while, and yet with some seconds between a renewal and the
// end of what it replaces. SLIPWAY_TEST_CERTIFICATE_LIFE sets another one.
func certificateLife(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("SLIPWAY_TEST_CERTIFICATE_LIFE")
	if text == "" {
		return 30 * time.Second
	}
	life, err := time.ParseDuration(text)
	must(t, err)
	return life
}

// renewals is how many renewals of each certificate are awaited.
const renewals = 2

// renewed watches certificates being renewed under running components: one reads its pair again by
// itself and goes on, one reads it at its start only and is restarted, alone.
func renewed(t *testing.T, w *world) {
	address := testnode.FreeAddress(t)
	w.apply(protocol.Healthy, func(p *plan.Plan) {
		alphaExec := unitOf(p, alpha).Exec
		alphaExec.Args = append(alphaExec.Args, "--tls", address, "--pair", plan.PKI+"/alpha")
		p.Certificates = append(p.Certificates, plan.Certificate{Name: "beta", Purpose: "client", Owner: "root", Restart: []string{beta}})
	})
	served := map[string]*x509.Certificate{}
	look := func() *x509.Certificate {
		conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: w.plane.Roots(), ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13})
		if err != nil {
			t.Errorf("alpha's TLS, verified: %v", err)
			return nil
		}
		defer func() { _ = conn.Close() }()
		return conn.ConnectionState().PeerCertificates[0]
	}
	first := look()
	if first == nil {
		t.FailNow()
	}
	properties := func(unit string) string {
		return strings.Join([]string{w.node.show(unit, "InvocationID"), w.node.show(unit, "MainPID"), w.node.show(unit, "NRestarts")}, " ")
	}
	before := map[string]string{alpha: properties(alpha), plan.AgentUnit: properties(plan.AgentUnit)}
	betas := map[string]bool{}
	identities, began, life := w.plane.Renewals(), time.Now(), certificateLife(t)
	for deadline := began.Add(10*life + 4*time.Minute); ; time.Sleep(life / 30) {
		leaf := look()
		if leaf == nil {
			t.FailNow()
		}
		if !leaf.PublicKey.(*ecdsa.PublicKey).Equal(first.PublicKey) {
			t.Error("alpha's key was replaced")
		}
		served[leaf.SerialNumber.String()] = leaf
		betas[w.node.show(beta, "InvocationID")] = true
		if len(served) > renewals && w.plane.Renewals() >= identities+renewals && len(betas) > 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("alpha served %d certificates, the node's was renewed %d times, beta had %d invocations within %s\n%s",
				len(served), w.plane.Renewals()-identities, len(betas), time.Since(began), w.node.journal())
		}
	}
	t.Logf("certificates of %s: alpha served %d, the node's was renewed %d times, beta was started %d times, in %s",
		life, len(served), w.plane.Renewals()-identities, len(betas)-1, time.Since(began).Round(time.Second))
	for unit, was := range before {
		if now := properties(unit); now != was {
			t.Errorf("%s was %s and is %s", unit, was, now)
		}
	}
	w.node.eventually("the agent's log tells of the restart", func() bool {
		return strings.Contains(w.node.do("journalctl", "--no-pager", "-u", plan.AgentUnit), "restarted for a renewed certificate")
	})
	w.apply(protocol.Healthy) // without it all again
}
