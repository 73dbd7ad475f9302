package typedwork

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"slipway.build/slipway/imagebuild/buildcache"
	"slipway.build/slipway/imagebuild/component"
)

// programs puts the programs of our images where they can be run, and returns that directory.
func programs(t *testing.T, names ...string) string {
	t.Helper()
	built, err := component.Build(t.Context(), component.Options{Sources: filepath.Join("..", "..", "..", "imagebuild", "component", "sources"), Names: names})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(buildcache.Dir(), "programs")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := component.Extract(built, name, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// process is a program that runs until the test ends.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// start starts a program; it dies with this process at the latest.
func start(t *testing.T, dir, program string, args ...string) *process {
	t.Helper()
	return run(t, dir, filepath.Base(program), exec.Command(program, args...))
}

// run is start with a command of one's own.
func run(t *testing.T, dir, name string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{name: name, cmd: cmd, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = out.Close()
	go func() { _ = cmd.Wait(); close(p.done) }()
	t.Cleanup(p.kill)
	return p
}

// kill ends the process at once and waits for its end.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// tail returns the last lines of the process's log.
func (p *process) tail() string {
	raw, _ := os.ReadFile(p.log)
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// eventually waits until check succeeds.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %s: %v", what, long, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// freePort returns a port that nobody listens on, and that no connection is given as its own: it is
// below those that the kernel chooses from.
func freePort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		port := 15000 + mathrand.IntN(15000)
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("there is no free port")
	return 0
}

// authority signs everything in a test.
type authority struct {
	t    *testing.T
	dir  string
	file string // of its certificate, and of those that it trusts beside itself
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.file = filepath.Join(a.dir, "ca.crt")
	a.key = newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "typed work"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	write(t, a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return a
}

// trust adds another authority to the file.
func (a *authority) trust(pem string) {
	a.t.Helper()
	raw, err := os.ReadFile(a.file)
	if err != nil {
		a.t.Fatal(err)
	}
	write(a.t, a.file, append(raw, pem...))
}

// pair makes dir/tls.crt and dir/tls.key for a name on loopback, and returns dir.
func (a *authority) pair(name string, groups ...string) string {
	a.t.Helper()
	key := newKey(a.t)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name, Organization: groups},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	dir := filepath.Join(a.dir, name)
	write(a.t, filepath.Join(dir, "tls.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(a.t, filepath.Join(dir, "tls.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
	return dir
}

// clientTLS believes the authority and shows a pair of it.
func (a *authority) clientTLS(dir string) *tls.Config {
	a.t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	if err != nil {
		a.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func write(t *testing.T, name string, raw []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// member is one etcd member as a process.
type member struct {
	*process
	name, client, peer string
	args               []string
	dir, program       string
}

// newMember prepares a member on ports of its own; start runs it.
func newMember(t *testing.T, a *authority, bin, name string) *member {
	t.Helper()
	m := &member{
		name: name, client: fmt.Sprintf("https://127.0.0.1:%d", freePort(t)), peer: fmt.Sprintf("https://127.0.0.1:%d", freePort(t)),
		dir: t.TempDir(), program: filepath.Join(bin, "etcd"),
	}
	pair := a.pair("etcd-" + name)
	m.args = []string{
		"--name=" + name, "--data-dir=" + filepath.Join(m.dir, "data"),
		"--listen-client-urls=" + m.client, "--advertise-client-urls=" + m.client,
		"--listen-peer-urls=" + m.peer, "--initial-advertise-peer-urls=" + m.peer,
		"--client-cert-auth=true", "--trusted-ca-file=" + a.file, "--cert-file=" + filepath.Join(pair, "tls.crt"), "--key-file=" + filepath.Join(pair, "tls.key"),
		"--peer-client-cert-auth=true", "--peer-trusted-ca-file=" + a.file, "--peer-cert-file=" + filepath.Join(pair, "tls.crt"), "--peer-key-file=" + filepath.Join(pair, "tls.key"),
		"--unsafe-no-fsync", "--heartbeat-interval=200", "--election-timeout=3000", "--log-level=warn",
	}
	return m
}

// start runs the member in a cluster of these (name=URL), which is "new" or "existing".
func (m *member) start(t *testing.T, state string, initial ...*member) {
	t.Helper()
	var all []string
	for _, i := range initial {
		all = append(all, i.name+"="+i.peer)
	}
	m.run(t, "--initial-cluster="+strings.Join(all, ","), "--initial-cluster-state="+state, "--initial-cluster-token=slipt-typed")
}

func (m *member) run(t *testing.T, more ...string) {
	t.Helper()
	m.process = start(t, m.dir, m.program, append(append([]string(nil), m.args...), more...)...)
}
