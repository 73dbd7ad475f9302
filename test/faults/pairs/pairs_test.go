package pairs_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"slipway.build/slipway/agent/certificates"
	"slipway.build/slipway/agent/faultpoint/trap"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/test/faults/disk"
	"slipway.build/slipway/test/faults/tracer"
)

// The environment that makes this test's program the one that replaces a pair: under the filter of
// the socket first.
const (
	envSocket = "SLIPT_PAIRS_SOCKET"
	envDir    = "SLIPT_PAIRS_DIR"
	envWanted = "SLIPT_PAIRS_WANTED"
)

func TestMain(m *testing.M) {
	socket, dir := os.Getenv(envSocket), os.Getenv(envDir)
	var err error
	switch {
	case socket != "":
		if err = os.Unsetenv(envSocket); err == nil {
			err = trap.Exec(socket, "/proc/self/exe", os.Args, os.Environ())
		}
	case dir != "":
		var wanted plan.Certificate
		if err = json.Unmarshal([]byte(os.Getenv(envWanted)), &wanted); err == nil {
			err = maker(dir).Renew(context.Background(), []plan.Certificate{wanted})
		}
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// authority certifies whatever it is asked for.
type authority struct{}

func (authority) Certificates(_ context.Context, requests []protocol.CertificateRequest) ([]protocol.CertificateResponse, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	var out []protocol.CertificateResponse
	for _, request := range requests {
		block, _ := pem.Decode([]byte(request.CSR))
		if block == nil {
			return nil, errors.New("no request")
		}
		csr, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			return nil, err
		}
		leaf := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, csr.PublicKey, key)
		if err != nil {
			return nil, err
		}
		out = append(out, protocol.CertificateResponse{
			Name: request.Name, Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		})
	}
	return out, nil
}

func maker(dir string) *certificates.Maker {
	return &certificates.Maker{Dir: dir, API: authority{}, Now: time.Now}
}

// replaced runs the replacement of the pair in dir under the filter and returns its calls there.
func replaced(t *testing.T, dir string, wanted plan.Certificate) []*tracer.Call {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	asked, err := json.Marshal(wanted)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envSocket+"="+socket, envDir+"="+dir, envWanted+"="+string(asked))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	program, err := tracer.Accept(listener)
	if err != nil {
		t.Fatal(err)
	}
	var calls []*tracer.Call
	if err := program.Run(func(c *tracer.Call) tracer.Verdict {
		if c.Tree(dir) {
			calls = append(calls, c)
		}
		return tracer.Verdict{}
	}); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return calls
}

// mixed is an error when a certificate and a key are there that do not belong together: half a pair,
// or a damaged one, is none that a reader could take for one.
func mixed(dir string) error {
	chain, err1 := os.ReadFile(filepath.Join(dir, "tls.crt"))
	key, err2 := os.ReadFile(filepath.Join(dir, "tls.key"))
	if err1 != nil || err2 != nil {
		return nil
	}
	for _, half := range [][]byte{chain, key} {
		if block, _ := pem.Decode(half); block == nil {
			return nil
		}
	}
	_, err := tls.X509KeyPair(chain, key)
	return err
}

func TestAPairThatIsReplacedIsNeverMixedWhereverItIsCutOff(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("installs a seccomp filter; needs root")
	}
	first := plan.Certificate{Name: "a", Purpose: "server", Owner: "root"}
	for name, test := range map[string]struct {
		damage func(dir string) error
		owner  string
	}{
		"a renewal":         {damage: func(string) error { return nil }},
		"a damaged key":     {damage: func(dir string) error { return os.Truncate(filepath.Join(dir, "tls.key"), 10) }},
		"a key that went":   {damage: func(dir string) error { return os.Remove(filepath.Join(dir, "tls.key")) }},
		"a certificate cut": {damage: func(dir string) error { return os.Truncate(filepath.Join(dir, "tls.crt"), 10) }},
		"another owner":     {damage: func(string) error { return nil }, owner: "daemon"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := maker(dir).Ensure(t.Context(), []plan.Certificate{first}); err != nil {
				t.Fatal(err)
			}
			if err := test.damage(filepath.Join(dir, "a")); err != nil {
				t.Fatal(err)
			}
			before, err := disk.Load(dir, dir)
			if err != nil {
				t.Fatal(err)
			}
			wanted := first
			if test.owner != "" {
				wanted.Owner = test.owner
			}
			calls := replaced(t, dir, wanted)
			if _, err := tls.LoadX509KeyPair(filepath.Join(dir, "a", "tls.crt"), filepath.Join(dir, "a", "tls.key")); err != nil {
				t.Fatalf("after %d calls: %v", len(calls), err)
			}
			seen := map[string]bool{}
			for i := range len(calls) + 1 {
				for _, policy := range disk.Policies(3) {
					after := fmt.Sprintf("cut off after %d of %d calls, %s", i, len(calls), policy.Name)
					tree := before.Crash(policy)
					sum := tree.Sum()
					if seen[sum] {
						continue
					}
					seen[sum] = true
					left := filepath.Join(t.TempDir(), "left")
					if err := tree.Write(left); err != nil {
						t.Fatal(err)
					}
					if err := mixed(filepath.Join(left, "a")); err != nil {
						t.Errorf("%s: %v", after, err)
					}
					made := maker(left)
					if err := errors.Join(made.Sweep(), made.Ensure(t.Context(), []plan.Certificate{wanted})); err != nil {
						t.Errorf("%s: made good: %v", after, err)
					}
					if _, err := tls.LoadX509KeyPair(filepath.Join(left, "a", "tls.crt"), filepath.Join(left, "a", "tls.key")); err != nil {
						t.Errorf("%s: made good: %v", after, err)
					}
				}
				if i < len(calls) {
					before.Apply(calls[i])
				}
			}
			if len(seen) < 4 {
				t.Errorf("only %d states were seen of %d calls", len(seen), len(calls))
			}
		})
	}
}
