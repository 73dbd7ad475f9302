package loadbalancer_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/launch"
	"slipway.build/slipway/controlplane/cloud/local/loadbalancer"
	"slipway.build/slipway/controlplane/cloud/local/network"
	"slipway.build/slipway/controlplane/cloud/local/network/namespace"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

const prefix = "sliptl"

// site is a local cloud of the test's own.
type site struct {
	*loadbalancer.Balancers
	network       *network.Network
	launcher      launch.Launcher
	t             testing.TB
	types         map[string]cloud.Type
	servers       int
	net, subnet   resource
	group, router resource
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := emptySite(t)
	s.net = s.create("Neutron::Net", nil)
	s.subnet = s.create("Neutron::Subnet", map[string]any{"network": s.net.Physical, "cidr": "10.0.0.0/24"})
	s.router = s.create("Neutron::Router", map[string]any{"external_network": "public"})
	s.create("Neutron::RouterInterface", map[string]any{"router": s.router.Physical, "subnet": s.subnet.Physical})
	s.group = s.create("Neutron::SecurityGroup", map[string]any{"rules": []any{map[string]any{"protocol": "tcp"}}})
	return s
}

func emptySite(t testing.TB) *site {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("load balancers need root")
	}
	store, err := record.Open(filepath.Join(t.TempDir(), "cloud"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := network.New(network.Config{Store: store, Prefix: prefix, External: netip.MustParsePrefix("172.31.251.0/24")})
	if err != nil {
		t.Fatal(err)
	}
	launcher, err := launch.Detect()
	if err != nil {
		t.Fatal(err)
	}
	b, err := loadbalancer.New(loadbalancer.Config{Store: store, Network: n, Launcher: launcher})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{Balancers: b, network: n, launcher: launcher, t: t, types: n.Types()}
	for name, typ := range b.Types() {
		s.types[name] = typ
	}
	s.clear()
	t.Cleanup(s.clear)
	if err := n.EnsureExternal(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) clear() {
	ctx := context.Background()
	if err := s.Sweep(ctx); err != nil {
		s.t.Error(err)
	}
	if err := s.network.Sweep(ctx); err != nil {
		s.t.Error(err)
	}
	names, _ := namespace.List()
	for _, name := range names {
		if strings.HasPrefix(name, prefix+"-") {
			_ = namespace.Delete(name)
		}
	}
}

type resource struct {
	kind string
	req  cloud.Request
	cloud.Object
}

func request(properties map[string]any) cloud.Request {
	return cloud.Request{Key: uuid.NewString(), Cluster: "c", Stack: "k8s", Name: "r", Properties: properties}
}

func (s *site) create(kind string, properties map[string]any) resource {
	s.t.Helper()
	req := request(properties)
	o, err := s.types["OS::"+kind].Create(s.t.Context(), req)
	if err != nil {
		s.t.Fatalf("create %s: %v", kind, err)
	}
	return resource{kind, req, o}
}

func (s *site) delete(r resource) {
	s.t.Helper()
	for range 2 {
		if err := s.types["OS::"+r.kind].Delete(s.t.Context(), r.req); err != nil {
			s.t.Fatalf("delete %s: %v", r.kind, err)
		}
	}
}

// authority is a CA of the test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t testing.TB) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kubernetes"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	return authority{cert, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

func (a authority) leaf(t testing.TB, ip string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "kube-apiserver"}, DNSNames: []string{"kubernetes"}, IPAddresses: []net.IP{net.ParseIP(ip)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// backend is a server on the network that answers /readyz, and every other path with its name.
type backend struct {
	name, ip string
	ready    atomic.Bool
	hits     atomic.Int32 // of other paths than /readyz
	stop     func()
}

func (s *site) backend(name string, a authority) *backend {
	s.t.Helper()
	p := s.create("Neutron::Port", map[string]any{"network": s.net.Physical, "subnet": s.subnet.Physical, "security_groups": []any{s.group.Physical}})
	v := &backend{name: name, ip: p.Attributes["fixed_ip"].(string)}
	v.ready.Store(true)
	s.servers++
	netns := fmt.Sprintf("%s-srv-%d", prefix, s.servers)
	if _, err := namespace.Ensure(netns); err != nil {
		s.t.Fatal(err)
	}
	if err := s.network.Plug(s.t.Context(), p.Physical, netns); err != nil {
		s.t.Fatal(err)
	}
	var l net.Listener
	if err := namespace.Do(netns, func() (err error) { l, err = net.Listen("tcp4", ":6443"); return err }); err != nil {
		s.t.Fatal(err)
	}
	server := &http.Server{
		ErrorLog:  log.New(io.Discard, "", 0), // handshakes fail on purpose
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{a.leaf(s.t, v.ip)}},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/readyz" && !v.ready.Load():
				w.WriteHeader(http.StatusInternalServerError)
			case r.URL.Path == "/readyz":
			case r.URL.Path == "/slow":
				w.(http.Flusher).Flush()
				for r.Context().Err() == nil {
					if _, err := io.WriteString(w, "."); err != nil {
						return
					}
					w.(http.Flusher).Flush()
					select {
					case <-r.Context().Done():
					case <-time.After(10 * time.Millisecond):
					}
				}
			default:
				v.hits.Add(1)
				_, _ = io.WriteString(w, name)
			}
		}),
	}

	var done sync.WaitGroup
	done.Go(func() { _ = server.ServeTLS(l, "", "") })
	v.stop = sync.OnceFunc(func() { server.Close(); done.Wait() })
	s.t.Cleanup(v.stop)
	return v
}

// client is in the network and speaks to the balancer, a new connection for each request.
func (s *site) client(a authority) func(url string) (string, error) {
	s.t.Helper()
	p := s.create("Neutron::Port", map[string]any{"network": s.net.Physical, "subnet": s.subnet.Physical})
	netns := prefix + "-srv-client"
	if _, err := namespace.Ensure(netns); err != nil {
		s.t.Fatal(err)
	}
	if err := s.network.Plug(s.t.Context(), p.Physical, netns); err != nil {
		s.t.Fatal(err)
	}
	c := httpClient(a, func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
		err = namespace.Do(netns, func() (err error) {
			conn, err = (&net.Dialer{}).DialContext(ctx, network, addr)
			return err
		})
		return conn, err
	})
	return func(url string) (string, error) { return get(c, url) }
}

func httpClient(a authority, dial func(ctx context.Context, network, addr string) (net.Conn, error)) *http.Client {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "kubernetes"}, DialContext: dial,
	}}
}

func get(c *http.Client, url string) (string, error) {
	resp, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return string(data), err
}

// eventually waits for a condition, generously.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(4 * time.Minute); !condition(); {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// stack is a balancer with one listener, pool and monitor.
type stack struct {
	lb, listener, pool, monitor resource
	vip                         string
}

func (s *site) stack(ca string) stack {
	s.t.Helper()
	var k stack
	k.lb = s.create("Octavia::LoadBalancer", map[string]any{"subnet": s.subnet.Physical, "name": "api"})
	k.listener = s.create("Octavia::Listener", map[string]any{"loadbalancer": k.lb.Physical, "protocol": "TCP", "protocol_port": 6443})
	k.pool = s.create("Octavia::Pool", map[string]any{"listener": k.listener.Physical, "protocol": "TCP", "lb_algorithm": "ROUND_ROBIN", "backend_ca": ca})
	k.monitor = s.create("Octavia::HealthMonitor", map[string]any{"pool": k.pool.Physical, "type": "HTTPS", "url_path": "/readyz", "delay_ms": 100, "timeout_ms": 20000, "max_retries": 2})
	k.vip = k.lb.Attributes["vip_address"].(string)
	return k
}

func (s *site) member(k stack, b *backend) resource {
	s.t.Helper()
	return s.create("Octavia::PoolMember", map[string]any{"pool": k.pool.Physical, "address": b.ip, "protocol_port": 6443})
}

func (s *site) up(k stack) int {
	members, err := s.MembersUp(s.t.Context(), k.lb.Physical)
	if err != nil {
		return -1
	}
	n := 0
	for _, up := range members {
		if up {
			n++
		}
	}
	return n
}

func TestConnectionsGoToMembersWhoseChecksPassAndNoOthers(t *testing.T) {
	s := newSite(t)
	ca, foreign := newAuthority(t), newAuthority(t)
	k := s.stack(ca.pem)
	a, b, c := s.backend("a", ca), s.backend("b", ca), s.backend("c", ca)
	stranger := s.backend("stranger", foreign)
	lagging := s.backend("lagging", ca)
	lagging.ready.Store(false)
	fetch := s.client(ca)
	url := "https://" + k.vip + ":6443/"
	if _, err := fetch(url); err == nil {
		t.Error("an answer without any member")
	}
	for _, m := range []*backend{stranger, lagging, a, b, c} {
		s.member(k, m)
	}
	eventually(t, "three members are up", func() bool { return s.up(k) == 3 })
	for range 12 {
		if _, err := fetch(url); err != nil {
			t.Error(err)
		}
	}
	for _, m := range []*backend{a, b, c} {
		if m.hits.Load() == 0 {
			t.Errorf("member %s got no connection", m.name)
		}
	}
	for _, m := range []*backend{stranger, lagging} {
		if m.hits.Load() != 0 {
			t.Errorf("member %s, whose check fails, got a connection", m.name)
		}
	}

	t.Run("a member that dies is replaced at once", func(t *testing.T) {
		a.stop()
		for i := range 8 {
			if got, err := fetch(url); err != nil || got == "a" {
				t.Errorf("request %d: %q, %v", i, got, err)
			}
		}
		eventually(t, "it is marked down", func() bool { return s.up(k) == 2 })
	})
	t.Run("a member that becomes ready is used", func(t *testing.T) {
		lagging.ready.Store(true)
		eventually(t, "it gets connections", func() bool { _, _ = fetch(url); return lagging.hits.Load() > 0 })
	})
	t.Run("a member that is no more ready is left out", func(t *testing.T) {
		b.ready.Store(false)
		eventually(t, "it is marked down", func() bool { return s.up(k) == 2 })
		before := b.hits.Load()
		for range 6 {
			if _, err := fetch(url); err != nil {
				t.Error(err)
			}
		}
		if b.hits.Load() != before {
			t.Error("it got a connection")
		}
	})
	t.Run("from the host by a floating IP", func(t *testing.T) {
		ip := s.create("Neutron::FloatingIP", map[string]any{"external_network": "public", "port": k.lb.Attributes["vip_port"]})
		host := httpClient(ca, (&net.Dialer{}).DialContext)
		if _, err := get(host, "https://"+ip.Attributes["floating_ip_address"].(string)+":6443/"); err != nil {
			t.Error(err)
		}
	})
}

func TestChangesKeepOpenConnectionsAndTheStateOfMembers(t *testing.T) {
	s := newSite(t)
	ca := newAuthority(t)
	k := s.stack(ca.pem)
	a, b := s.backend("a", ca), s.backend("b", ca)
	s.member(k, a)
	eventually(t, "the member is up", func() bool { return s.up(k) == 1 })
	p := s.create("Neutron::FloatingIP", map[string]any{"external_network": "public", "port": k.lb.Attributes["vip_port"]})
	host := httpClient(ca, (&net.Dialer{}).DialContext)
	host.Timeout = 0
	url := "https://" + p.Attributes["floating_ip_address"].(string) + ":6443"
	resp, err := host.Get(url + "/slow")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	read := func() {
		t.Helper()
		if _, err := io.ReadFull(resp.Body, make([]byte, 5)); err != nil {
			t.Fatalf("the open connection broke: %v", err)
		}
	}
	read()
	for range 3 {
		m := s.member(k, b)
		if _, err := get(host, url+"/"); err != nil { // the first member stayed up
			t.Error(err)
		}
		s.delete(m)
		if _, err := get(host, url+"/"); err != nil {
			t.Error(err)
		}
		read()
	}
	if up, err := s.MembersUp(t.Context(), k.lb.Physical); err != nil || len(up) != 1 {
		t.Errorf("members %v, %v", up, err)
	}
}

func TestAKilledBalancerComesBack(t *testing.T) {
	s := newSite(t)
	ca := newAuthority(t)
	k := s.stack(ca.pem)
	s.member(k, s.backend("a", ca))
	eventually(t, "the member is up", func() bool { return s.up(k) == 1 })
	names, err := s.launcher.List(t.Context(), prefix+"-lb-")
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	if err := s.launcher.Stop(t.Context(), names[0], 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var tending sync.WaitGroup
	tending.Go(func() { s.Tend(ctx, 50*time.Millisecond) })
	eventually(t, "the member is up again", func() bool { return s.up(k) == 1 })
	cancel()
	tending.Wait()

	t.Run("and after a reboot", func(t *testing.T) {
		if err := s.launcher.Stop(t.Context(), names[0], 0); err != nil {
			t.Fatal(err)
		}
		if err := namespace.Delete(names[0]); err != nil {
			t.Fatal(err)
		}
		if err := s.Restore(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the member is up again", func() bool { return s.up(k) == 1 })
	})
}

func TestHAProxyHasNoRightsInItsContainer(t *testing.T) {
	s := newSite(t)
	s.stack(newAuthority(t).pem)
	names, err := s.launcher.List(t.Context(), prefix+"-lb-")
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	// Processes come and go around a reload: what matters is how those are that stay.
	var wrong []string
	for range 100 {
		if wrong = s.rights(names[0]); len(wrong) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error(strings.Join(wrong, "\n"))
}

// rights returns what is wrong with the rights of haproxy's processes.
func (s *site) rights(name string) (wrong []string) {
	s.t.Helper()
	pids, err := s.launcher.Processes(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	say := func(format string, a ...any) { wrong = append(wrong, fmt.Sprintf(format, a...)) }
	seen := 0
	for _, pid := range pids {
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if strings.TrimSpace(string(comm)) != "haproxy" {
			continue
		}
		seen++
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			say("process %d: %v", pid, err)
			continue
		}
		for _, want := range []string{"Uid:\t64724\t64724\t64724\t64724", "Gid:\t64724\t64724\t64724\t64724", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
			if !bytes.Contains(status, []byte(want)) {
				say("process %d: no %q in its status", pid, want)
			}
		}
		for _, ns := range []string{"net", "pid", "mnt", "ipc", "uts"} {
			own, _ := os.Readlink("/proc/self/ns/" + ns)
			theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, ns))
			if err != nil || own == theirs {
				say("process %d: namespace %s is ours (%v)", pid, ns, err)
			}
		}
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/root/usr/slipt-probe", pid), nil, 0o600); err == nil {
			say("process %d: /usr can be written", pid)
		}
	}
	if seen < 2 { // a worker of before the last reload may still be ending
		say("%d processes of haproxy, want a master and a worker", seen)
	}
	return wrong
}

func TestCreateAgainIsTheSameAndDeleteLeavesNothing(t *testing.T) {
	s := newSite(t)
	ca := newAuthority(t)
	k := s.stack(ca.pem)
	m := s.member(k, s.backend("a", ca))
	before, err := s.launcher.List(t.Context(), prefix+"-lb-")
	if err != nil || len(before) != 1 {
		t.Fatal(before, err)
	}
	pids, _ := s.launcher.Processes(t.Context(), before[0])
	for _, r := range []resource{k.lb, k.listener, k.pool, k.monitor, m} {
		o, err := s.types["OS::"+r.kind].Create(t.Context(), r.req)
		if err != nil || o.Physical != r.Physical || fmt.Sprint(o.Attributes) != fmt.Sprint(r.Attributes) {
			t.Errorf("%s: got %v, %v, want %v", r.kind, o, err, r.Object)
		}
	}
	if again, _ := s.launcher.Processes(t.Context(), before[0]); !subset(again, pids) { // workers of before a reload may end
		t.Errorf("processes %v became %v, though nothing changed", pids, again)
	}
	for _, r := range []resource{m, k.monitor, k.pool, k.listener, k.lb} {
		s.delete(r)
	}
	s.nothingLeft(k)
}

// nothingLeft looks for whatever a balancer leaves.
func (s *site) nothingLeft(k stack) {
	s.t.Helper()
	left, err := s.launcher.List(s.t.Context(), prefix+"-lb-")
	if err != nil || len(left) > 0 {
		s.t.Errorf("left: %v, %v", left, err)
	}
	names, _ := namespace.List()
	runs, _ := filepath.Glob("/run/systemd/nspawn/*/*" + prefix + "*")
	files, _ := filepath.Glob(filepath.Join(s.Store.Dir(), "balancer", "*"))
	records, _ := filepath.Glob(filepath.Join(s.Store.Dir(), "load-balancer", "*"))
	for _, name := range append(append(append(names, runs...), files...), records...) {
		if strings.Contains(name, prefix+"-lb-") || strings.Contains(name, k.lb.Physical) {
			s.t.Errorf("left: %s", name)
		}
	}
}

func TestSweepNeedsNoRecords(t *testing.T) {
	s := newSite(t)
	k := s.stack(newAuthority(t).pem)
	if err := os.RemoveAll(filepath.Join(s.Store.Dir(), "load-balancer")); err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.nothingLeft(k)
}

func TestWhatIsWrongInATemplateIsATerminalFault(t *testing.T) {
	s := newSite(t)
	ca := newAuthority(t)
	k := s.stack(ca.pem)
	second := s.create("Octavia::Listener", map[string]any{"loadbalancer": k.lb.Physical, "protocol_port": 80})
	bare := s.create("Octavia::Pool", map[string]any{"listener": second.Physical})
	monitor := func(with map[string]any) map[string]any {
		p := map[string]any{"pool": bare.Physical, "type": "TCP", "delay_ms": 100, "timeout_ms": 100}
		for name, v := range with {
			p[name] = v
		}
		return p
	}
	key, err := x509.MarshalECPrivateKey(ca.key)
	if err != nil {
		t.Fatal(err)
	}
	private := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key}))
	for name, c := range map[string]struct {
		kind       string
		properties map[string]any
		says       string
	}{
		"an unknown subnet":      {"LoadBalancer", map[string]any{"subnet": "x"}, "subnet"},
		"an unknown balancer":    {"Listener", map[string]any{"loadbalancer": "x", "protocol_port": 1}, "loadbalancer"},
		"a port in use":          {"Listener", map[string]any{"loadbalancer": k.lb.Physical, "protocol_port": 6443}, "6443"},
		"a port that is none":    {"Listener", map[string]any{"loadbalancer": k.lb.Physical, "protocol_port": 65536}, "65536"},
		"a protocol":             {"Listener", map[string]any{"loadbalancer": k.lb.Physical, "protocol_port": 1, "protocol": "UDP"}, "UDP"},
		"an algorithm":           {"Pool", map[string]any{"listener": second.Physical, "lb_algorithm": "x"}, "lb_algorithm"},
		"a second pool":          {"Pool", map[string]any{"listener": second.Physical}, "already"},
		"a CA that is none":      {"Pool", map[string]any{"listener": second.Physical, "backend_ca": "x"}, "backend_ca"},
		"a private key":          {"Pool", map[string]any{"listener": second.Physical, "backend_ca": ca.pem + private}, "PRIVATE KEY"},
		"HTTPS without a CA":     {"HealthMonitor", monitor(map[string]any{"type": "HTTPS"}), "backend_ca"},
		"a path with a new line": {"HealthMonitor", monitor(map[string]any{"url_path": "/x\nbind"}), "url_path"},
		"a domain with a space":  {"HealthMonitor", monitor(map[string]any{"domain_name": "a b"}), "domain_name"},
		"no delay":               {"HealthMonitor", monitor(map[string]any{"delay_ms": 0}), "delay_ms"},
		"a member's address":     {"PoolMember", map[string]any{"pool": k.pool.Physical, "address": "master-0", "protocol_port": 6443}, "address"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.types["OS::Octavia::"+c.kind].Create(t.Context(), request(c.properties))
			if !fault.IsTerminal(err) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want a terminal fault with %q", err, c.says)
			}
			if err != nil && strings.Contains(err.Error(), "BEGIN") {
				t.Error("the error quotes the key")
			}
		})
	}
}

func subset(some, all []int) bool {
	for _, v := range some {
		if !slices.Contains(all, v) {
			return false
		}
	}
	return len(some) > 0
}
