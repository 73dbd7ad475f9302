package nodeapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/join"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/components"
	"slipway.build/slipway/controlplane/pki"
	"slipway.build/slipway/controlplane/store"
)

func TestJoinWithTheSameKeyGetsTheSameAnswerAndWithAnotherIsNoted(t *testing.T) {
	h := newHarness(t)
	cluster := h.cluster()
	n := h.node(cluster, "k8s-master-0", store.RoleMaster)
	first, err := h.join(n, n.key, n.token)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := parseCertificate(first.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := pki.NodeOf(leaf); err != nil || id != n.ID || !n.key.PublicKey.Equal(leaf.PublicKey) {
		t.Errorf("certificate of %q: %v", id, err)
	}
	if len(first.PlanKeys) != 1 || first.PlanKeys[0] != h.system.Plans.PlanKey() {
		t.Errorf("plan keys %v", first.PlanKeys)
	}
	h.clock.add(2 * time.Hour) // past the token's life
	again, err := h.join(n, n.key, n.token)
	if err != nil || again.Certificate != first.Certificate {
		t.Errorf("the same again: %v, certificate differs %v", err, again == nil || again.Certificate != first.Certificate)
	}
	thief, _, err := join.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, err = h.join(n, thief, n.token)
		wantProblem(t, err, codeTokenUsed, true)
	}
	_, err = h.join(n, n.key, "wrong")
	wantProblem(t, err, codeTokenInvalid, true)
	want := "SIGNAL_IN_PROGRESS Signal: node joined\n" +
		"SIGNAL_FAILED Signal: join from 127.0.0.1 refused: token-used\n" +
		"SIGNAL_FAILED Signal: join from 127.0.0.1 refused: token-invalid"
	if got := reasons(h.events(cluster)); got != want {
		t.Errorf("events\n%s\nwant\n%s", got, want)
	}
	if log := h.log.String(); !strings.Contains(log, "peer=127.0.0.1:") || strings.Contains(log, n.token) {
		t.Errorf("the log must name the peer and not the token:\n%s", log)
	}
}

func TestJoinRefusals(t *testing.T) {
	h := newHarness(t)
	cluster := h.cluster()
	a, b := h.node(cluster, "a", store.RoleWorker), h.node(cluster, "b", store.RoleWorker)
	request := func(n *testNode, commonName, token string) protocol.JoinRequest {
		csr, err := join.Request(n.key, commonName)
		if err != nil {
			t.Fatal(err)
		}
		return protocol.JoinRequest{Node: n.ID, Token: token, CSR: csr}
	}
	stranger := uuid.NewString()
	for name, c := range map[string]struct {
		request protocol.JoinRequest
		code    string
	}{
		"another node's token":   {request(a, "node:"+a.ID, b.token), codeTokenInvalid},
		"an unknown node":        {protocol.JoinRequest{Node: stranger, Token: a.token, CSR: request(a, "node:"+stranger, "").CSR}, codeTokenInvalid},
		"no token":               {request(a, "node:"+a.ID, ""), codeBadRequest},
		"another node's name":    {request(a, "node:"+b.ID, a.token), codeBadRequest},
		"a node that is no UUID": {protocol.JoinRequest{Node: "a", Token: a.token, CSR: request(a, "node:a", "").CSR}, codeBadRequest},
		"a request that is none": {protocol.JoinRequest{Node: a.ID, Token: a.token, CSR: "x"}, codeBadRequest},
		"a long token":           {request(a, "node:"+a.ID, strings.Repeat("x", 300)), codeBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.client(nil).Join(t.Context(), c.request)
			wantProblem(t, err, c.code, true)
		})
	}
	h.clock.add(2 * time.Hour)
	_, err := h.join(a, a.key, a.token)
	wantProblem(t, err, codeTokenExpired, true)
	h.tx(func(ctx context.Context, tx *store.Tx) error {
		b.State, b.TokenExpiresAt = store.NodeRemoved, h.clock.now().Add(time.Hour)
		return tx.UpdateNode(ctx, b.Node)
	})
	_, err = h.join(b, b.key, b.token)
	wantProblem(t, err, codeTokenInvalid, true)
}

func TestManyJoinsWithOneTokenMakeOneIdentity(t *testing.T) {
	h := newHarness(t)
	n := h.node(h.cluster(), "a", store.RoleWorker)
	var wg sync.WaitGroup
	var mu sync.Mutex
	certificates := map[string]int{}
	for range 6 {
		wg.Go(func() {
			response, err := h.join(n, n.key, n.token)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			certificates[response.Certificate]++
		})
	}
	wg.Wait()
	if len(certificates) != 1 {
		t.Errorf("%d identities were handed out", len(certificates))
	}
}

func TestEveryOtherCallNeedsTheNodesCertificate(t *testing.T) {
	h := newHarness(t)
	c := h.client(nil)
	_, _, err := c.Plan(t.Context(), "", 0)
	wantProblem(t, err, codeNotJoined, true)
	wantProblem(t, c.Signals(t.Context(), []protocol.Signal{}), codeNotJoined, true)
	_, err = c.Certificates(t.Context(), nil)
	wantProblem(t, err, codeNotJoined, true)
	_, err = c.Secret(t.Context(), "a", "1")
	wantProblem(t, err, codeNotJoined, true)
}

func TestForeignAndRemovedIdentitiesAreRefused(t *testing.T) {
	h := newHarness(t)
	n := h.joined(h.cluster(), "a", store.RoleWorker)
	// Another control plane's authority: TLS refuses before any call.
	other := newHarness(t)
	text, err := other.system.IssueNode(n.key.Public(), uuid.MustParse(n.ID))
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := parseCertificate(text)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.client(&tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: n.key, Leaf: leaf}).Plan(t.Context(), "", 0); err == nil {
		t.Error("a certificate of another authority was accepted")
	}
	h.tx(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteNode(ctx, n.ID) })
	_, _, err = n.api.Plan(t.Context(), "", 0)
	wantProblem(t, err, codeUnknownNode, true)
}

func TestOldTLSAndOldHTTPAreRefused(t *testing.T) {
	h := newHarness(t)
	old := map[string]*http.Transport{
		"TLS 1.2":  {TLSClientConfig: &tls.Config{RootCAs: h.system.Pool(), MaxVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true},
		"HTTP 1.1": {TLSClientConfig: &tls.Config{RootCAs: h.system.Pool(), NextProtos: []string{"http/1.1"}}},
	}
	for name, transport := range old {
		defer transport.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), "GET", h.url+"/node/v1/plan", nil)
		if err != nil {
			t.Fatal(err)
		}
		if response, err := (&http.Client{Transport: transport}).Do(r); err == nil {
			response.Body.Close()
			t.Errorf("%s was answered with %s", name, response.Status)
		}
	}
}

func TestPlanIsDeliveredOnceAndWaitedFor(t *testing.T) {
	h := newHarness(t)
	n := h.joined(h.cluster(), "a", store.RoleWorker)
	if delivery, _, err := n.api.Plan(t.Context(), "", 0); err != nil || delivery != nil {
		t.Fatalf("before any plan: %v, %v", delivery, err)
	}
	type result struct {
		delivery *protocol.Delivery
		etag     string
		err      error
	}
	poll := func(etag string) chan result {
		out := make(chan result, 1)
		go func() {
			d, e, err := n.api.Plan(t.Context(), etag, time.Minute)
			out <- result{d, e, err}
		}()
		return out
	}
	waiting := poll("")
	h.publish(n, 1, nil)
	first := <-waiting
	if first.err != nil || first.delivery == nil {
		t.Fatalf("%+v", first)
	}
	p, digest, err := plan.Open(t.Context(), first.delivery.Envelope, []protocol.PlanKey{h.system.Plans.PlanKey()})
	if err != nil || p.Generation != 1 || first.etag != `"`+digest+`"` {
		t.Errorf("plan %v, etag %s: %v", p, first.etag, err)
	}
	if !bytes.Equal(first.delivery.LockBytes, testLock) || string(first.delivery.LockSignature) != "signature" {
		t.Errorf("lock %s", first.delivery.LockBytes)
	}
	if again, etag, err := n.api.Plan(t.Context(), first.etag, 0); err != nil || again != nil || etag != first.etag {
		t.Errorf("unchanged: %v %s %v", again, etag, err)
	}
	waiting = poll(first.etag)
	h.publish(n, 2, nil)
	if second := <-waiting; second.err != nil || second.delivery == nil || second.etag == first.etag {
		t.Errorf("%+v", second)
	}
}

func TestAPlanThatAnotherKeySignedIsLeftToTheNodeToRefuse(t *testing.T) {
	h, other := newHarness(t), newHarness(t)
	n := h.joined(h.cluster(), "a", store.RoleWorker)
	h.system.Plans, other.system.Plans = other.system.Plans, h.system.Plans
	deployment := h.publish(n, 1, func(p *plan.Plan) {
		p.Secrets = []plan.Secret{{Name: "service-account-key", Version: "1", Owner: "root"}}
	})
	h.system.Plans, other.system.Plans = other.system.Plans, h.system.Plans
	delivery, _, err := n.api.Plan(t.Context(), "", 0)
	if err != nil || delivery == nil || delivery.LockBytes != nil {
		t.Fatalf("%+v, %v", delivery, err)
	}
	if _, _, err := plan.Open(t.Context(), delivery.Envelope, []protocol.PlanKey{h.system.Plans.PlanKey()}); err == nil {
		t.Error("the plan is by our key after all")
	}
	if claim := plan.ClaimOf(delivery.Envelope); claim.Deployment != deployment {
		t.Errorf("deployment %q", claim.Deployment)
	}
	if err := n.api.Signals(t.Context(), []protocol.Signal{signalOf(n, deployment, protocol.Failed)}); err != nil {
		t.Errorf("the refusal: %v", err)
	}
	if _, err := n.api.Secret(t.Context(), "service-account-key", "1"); err == nil {
		t.Error("a plan that is not ours has opened a secret")
	}
}

func TestShutdownEndsTheLongPoll(t *testing.T) {
	h := newHarness(t)
	n := h.joined(h.cluster(), "a", store.RoleWorker)
	h.publish(n, 1, nil)
	_, etag, err := n.api.Plan(t.Context(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, _, err := n.api.Plan(t.Context(), etag, time.Minute)
		done <- err
	}()
	h.server.Drain()
	h.server.Drain()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestNodeReadsItsOwnPlanAndSecretsAndNothingElse(t *testing.T) {
	h := newHarness(t)
	cluster := h.cluster()
	master, worker := h.joined(cluster, "master", store.RoleMaster), h.joined(cluster, "worker", store.RoleWorker)
	for _, name := range []string{"service-account-key", "other"} {
		sealed, err := h.sealer.Seal([]byte("value of "+name), secretContext(cluster, name, "1"))
		if err != nil {
			t.Fatal(err)
		}
		h.tx(func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.InsertSecret(ctx, &store.Secret{ClusterID: cluster, Name: name, Version: "1", Sealed: sealed})
			return err
		})
	}
	_, err := master.api.Secret(t.Context(), "service-account-key", "1")
	wantProblem(t, err, codeNotInPlan, false)
	named := func(p *plan.Plan) {
		p.Secrets = []plan.Secret{{Name: "service-account-key", Version: "1", Owner: "root"}}
	}
	deployment := h.publish(master, 1, named)
	h.publish(worker, 1, nil)

	value, err := master.api.Secret(t.Context(), "service-account-key", "1")
	if err != nil || string(value) != "value of service-account-key" {
		t.Errorf("%q, %v", value, err)
	}
	for _, c := range []struct {
		node          *testNode
		name, version string
	}{
		{master, "other", "1"}, {master, "service-account-key", "2"}, {worker, "service-account-key", "1"}, {worker, "../x", "1"},
	} {
		_, err := c.node.api.Secret(t.Context(), c.name, c.version)
		wantProblem(t, err, codeNotInPlan, false)
	}
	// Each sees its own plan; there is no way to name another's.
	for _, n := range []*testNode{master, worker} {
		delivery, _, err := n.api.Plan(t.Context(), "", 0)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := h.system.Plans.Open(t.Context(), delivery.Envelope); err != nil || p.Node.ID != n.ID {
			t.Errorf("%s got the plan of %v: %v", n.Name, p, err)
		}
	}
	// A later plan that no longer names the secret takes it away.
	h.publish(master, 2, nil)
	_, err = master.api.Secret(t.Context(), "service-account-key", "1")
	wantProblem(t, err, codeNotInPlan, false)
	// Nobody speaks for somebody else, nor about somebody else's deployment.
	before := len(h.events(cluster))
	wantProblem(t, worker.api.Signals(t.Context(), []protocol.Signal{signalOf(master, deployment, protocol.Healthy)}), codeForeignNode, true)
	wantProblem(t, worker.api.Signals(t.Context(), []protocol.Signal{signalOf(worker, deployment, protocol.Healthy)}), codeForeignNode, true)
	if signals, err := h.store.Signals(t.Context(), deployment, 0); err != nil || len(signals) != 0 || len(h.events(cluster)) != before {
		t.Errorf("refused signals left %v (%v)", signals, err)
	}
}

func TestCertificatesFollowPurposeAndRole(t *testing.T) {
	h := newHarness(t)
	cluster := h.cluster()
	master, worker := h.joined(cluster, "master", store.RoleMaster), h.joined(cluster, "worker", store.RoleWorker)
	all := func(purposes ...string) func(*plan.Plan) {
		return func(p *plan.Plan) {
			p.Certificates = nil
			for _, purpose := range purposes {
				p.Certificates = append(p.Certificates, plan.Certificate{Name: purpose, Purpose: purpose, Owner: "root"})
			}
		}
	}
	h.publish(master, 1, all(components.Purposes(components.RoleMaster)...))
	h.publish(worker, 1, all(components.APIServer, components.KubeletClient))
	// What the request says beyond its key must not matter.
	csr, err := join.Request(worker.key, "admin")
	if err != nil {
		t.Fatal(err)
	}
	var requests []protocol.CertificateRequest
	for _, purpose := range components.Purposes(components.RoleMaster) {
		requests = append(requests, protocol.CertificateRequest{Name: purpose, Purpose: purpose, CSR: csr})
	}
	responses, err := master.api.Certificates(t.Context(), requests)
	if err != nil || len(responses) != len(requests) {
		t.Fatalf("%d certificates, %v", len(responses), err)
	}
	for i, response := range responses {
		profile, err := tableProfiles{}.Profile(t.Context(), master.Node, requests[i].Purpose)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := parseCertificate(response.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		if response.Name != requests[i].Name || leaf.Subject.CommonName != profile.CommonName || leaf.SignatureAlgorithm != x509.SHA256WithRSA {
			t.Errorf("%s: subject %s, signature %s", response.Name, leaf.Subject, leaf.SignatureAlgorithm)
		}
		authority, err := h.authorities.Get(t.Context(), cluster, pki.Purpose(profile.Authority))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: authority.Pool(), KeyUsages: profile.Usages}); err != nil {
			t.Errorf("%s: %v", response.Name, err)
		}
		if len(leaf.IPAddresses) != len(profile.Addresses) || len(leaf.DNSNames) != len(profile.DNSNames) {
			t.Errorf("%s: names %v %v, want %v %v", response.Name, leaf.DNSNames, leaf.IPAddresses, profile.DNSNames, profile.Addresses)
		}
	}
	ask := func(name, purpose, csr string) error {
		_, err := worker.api.Certificates(t.Context(), []protocol.CertificateRequest{{Name: name, Purpose: purpose, CSR: csr}})
		return err
	}
	if err := ask(components.KubeletClient, components.KubeletClient, csr); err != nil {
		t.Error(err)
	}
	wantProblem(t, ask(components.APIServer, components.APIServer, csr), codeUnknownPurpose, true) // although the plan names it
	wantProblem(t, ask("x", "no-such-purpose", csr), codeUnknownPurpose, true)
	wantProblem(t, ask(components.KubeProxy, components.KubeProxy, csr), codeNotInPlan, false)
	wantProblem(t, ask(components.KubeletClient, components.KubeletClient, "x"), codeBadRequest, true)
	_, err = worker.api.Certificates(t.Context(), []protocol.CertificateRequest{})
	wantProblem(t, err, codeBadRequest, true)
	wantProblem(t, ask("identity", "node-identity", csr), codeUnknownPurpose, true) // renew is for that
}

func TestSignalsAreKeptOnceAndWakeWhoWaits(t *testing.T) {
	h := newHarness(t)
	cluster := h.cluster()
	n := h.joined(cluster, "worker", store.RoleWorker)
	deployment := h.publish(n, 1, nil)
	subscription := h.store.Subscribe(store.NodeTopic(n.ID))
	defer subscription.Close()
	pulling := signalOf(n, deployment, protocol.Pulling)
	pulling.Progress = &protocol.Progress{BytesDone: 1, BytesTotal: 10}
	healthy := signalOf(n, deployment, protocol.Healthy)
	batch := []protocol.Signal{pulling, healthy}
	for range 3 { // as an outbox does that never hears the answer
		if err := n.api.Signals(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-subscription.C:
	case <-time.After(time.Minute):
		t.Fatal("nobody was woken")
	}
	signals, err := h.store.Signals(t.Context(), deployment, 0)
	if err != nil || len(signals) != 2 || signals[1].Phase != string(protocol.Healthy) {
		t.Errorf("signals %+v, %v", signals, err)
	}
	want := "SIGNAL_IN_PROGRESS Signal: node joined\n" +
		"SIGNAL_IN_PROGRESS Signal: deployment " + deployment + " pulling\n" +
		"SIGNAL_IN_PROGRESS Signal: deployment " + deployment + " succeeded"
	events := h.events(cluster)
	if got := reasons(events); got != want {
		t.Errorf("events\n%s\nwant\n%s", got, want)
	}
	if actor := events[len(events)-1].Actor; actor != "node:worker" {
		t.Errorf("actor %q", actor)
	}
}

func TestProgressReplacesTheLatestReportAndMakesNoHistory(t *testing.T) {
	h := newHarness(t)
	cluster := h.cluster()
	n := h.joined(cluster, "worker", store.RoleWorker)
	deployment := h.publish(n, 1, nil)
	start := time.Now()
	var last protocol.Signal
	for i := range 50 {
		s := signalOf(n, deployment, protocol.Pulling)
		s.Time, s.Progress = start.Add(time.Duration(i)*time.Second), &protocol.Progress{BytesDone: int64(i), BytesTotal: 50}
		if err := n.api.Signals(t.Context(), []protocol.Signal{s}); err != nil {
			t.Fatal(err)
		}
		last = s
	}
	late := signalOf(n, deployment, protocol.Pulling) // overtaken on the way
	late.Time, late.Progress = start, &protocol.Progress{BytesDone: 1}
	if err := n.api.Signals(t.Context(), []protocol.Signal{late}); err != nil {
		t.Fatal(err)
	}
	report, found, err := LastReport(t.Context(), h.store, cluster, n.ID)
	if err != nil || !found || report.Progress == nil || *report.Progress != *last.Progress {
		t.Errorf("report %+v, %v", report, err)
	}
	signals, err := h.store.Signals(t.Context(), deployment, 0)
	if err != nil || len(signals) != 1 || len(h.events(cluster)) != 2 {
		t.Errorf("%d signals and %d events were kept (%v)", len(signals), len(h.events(cluster)), err)
	}
}

func TestFailureCarriesItsReasonToTheRightResource(t *testing.T) {
	h := newHarness(t)
	cluster := h.cluster()
	n := h.joined(cluster, "worker", store.RoleWorker)
	clusterWork := uuid.NewString()
	deployment := h.publish(n, 1, func(p *plan.Plan) {
		p.Tasks = []plan.Task{{
			Name: "objects", Kind: plan.TaskApply, Deployment: clusterWork, Objects: []plan.Object{{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "x"}}},
			API: &plan.API{Server: "https://127.0.0.1:6443", CA: plan.PKI + "/ca.crt", Certificate: "kubelet-client"},
		}}
	})
	root, nested := uuid.NewString(), uuid.NewString()
	h.tx(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.InsertStacks(ctx, []*store.Stack{
			{ID: root, Name: "k8s-abc", RootID: root, ClusterID: cluster, ProjectID: "local"},
			{ID: nested, Name: "k8s-abc-kube_minions-0", RootID: root, ParentID: root, Depth: 1, ClusterID: cluster, ProjectID: "local"},
		}); err != nil {
			return err
		}
		return tx.InsertResources(ctx, []*store.Resource{
			{ID: deployment, StackID: nested, RootID: root, Name: "node_config_deployment", Type: "Slipway::Node::Deployment", PhysicalID: deployment},
			{ID: uuid.NewString(), StackID: root, RootID: root, Name: "kube_cluster_deploy", Type: "Slipway::Cluster::Deployment", PhysicalID: clusterWork},
		})
	})
	failed := signalOf(n, deployment, protocol.Failed)
	failed.Reason, failed.Log = "image etcd: expected sha256:aa, found sha256:bb", strings.Repeat("log line\n", 4000)
	done := signalOf(n, clusterWork, protocol.Healthy)
	if err := n.api.Signals(t.Context(), []protocol.Signal{failed, done}); err != nil {
		t.Fatal(err)
	}
	events := h.events(cluster)
	got := events[len(events)-2]
	if got.ResourceName != "node_config_deployment" || got.StackID != nested || got.RootID != root || got.PhysicalID != deployment ||
		got.StatusReason != "Signal: deployment "+deployment+" failed: "+failed.Reason {
		t.Errorf("event %+v", got)
	}
	got = events[len(events)-1]
	if got.ResourceName != "kube_cluster_deploy" || got.StackID != root || got.StatusReason != "Signal: deployment "+clusterWork+" succeeded" {
		t.Errorf("event %+v", got)
	}
	signals, err := h.store.Signals(t.Context(), deployment, 0)
	if err != nil || len(signals) != 1 || len(signals[0].Body) > maxLog+2000 {
		t.Errorf("signals %d, %v", len(signals), err)
	}
}

func TestBadSignalsChangeNothing(t *testing.T) {
	h := newHarness(t)
	cluster := h.cluster()
	n := h.joined(cluster, "worker", store.RoleWorker)
	deployment := h.publish(n, 1, nil)
	good := signalOf(n, deployment, protocol.Healthy)
	for name, change := range map[string]func(*protocol.Signal){
		"no id":               func(s *protocol.Signal) { s.ID = "" },
		"an unknown phase":    func(s *protocol.Signal) { s.Phase = "dancing" },
		"another deployment":  func(s *protocol.Signal) { s.Deployment = uuid.NewString() },
		"no deployment":       func(s *protocol.Signal) { s.Deployment = "" },
		"another node's name": func(s *protocol.Signal) { s.Node = uuid.NewString() },
	} {
		bad := signalOf(n, deployment, protocol.Healthy)
		change(&bad)
		if err := n.api.Signals(t.Context(), []protocol.Signal{good, bad}); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if signals, err := h.store.Signals(t.Context(), deployment, 0); err != nil || len(signals) != 0 {
		t.Errorf("refused batches left %d signals (%v)", len(signals), err)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	h := newHarness(t)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: h.system.Pool()}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	post := func(body string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), "POST", h.url+"/node/v1/join", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	for name, c := range map[string]struct {
		body   string
		status int
		want   string
	}{
		"too large":        {mustJSON(t, map[string]string{"token": strings.Repeat("x", 1<<20)}), 413, codeTooLarge},
		"an unknown field": {`{"node":"x","colour":"red"}`, 400, "colour"},
		"a wrong type":     {`{"node":5}`, 400, codeBadRequest},
		"two values":       {`{}{}`, 400, codeBadRequest},
		"cut short":        {`{"node":`, 400, `"terminal":false`},
	} {
		if status, text := post(c.body); status != c.status || !strings.Contains(text, c.want) {
			t.Errorf("%s: %d %s, want %d with %s", name, status, text, c.status, c.want)
		}
	}
}

func FuzzSignalsBody(f *testing.F) {
	f.Add([]byte(`[{"id":"x","phase":"healthy","progress":{"bytesDone":1}}]`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var batch []protocol.Signal
		if err := decodeBody(bytes.NewReader(text), &batch); err != nil {
			if p := problemOf(err); p.status != http.StatusBadRequest {
				t.Fatalf("%d %v", p.status, err)
			}
		}
	})
}
