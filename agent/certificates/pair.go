package certificates

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"slipway.build/slipway/agent/durable"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/join"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
)

// Files of a pair's directory. The request says what the pair was made for.
const (
	keyFile     = "tls.key"
	certFile    = "tls.crt"
	requestFile = "request.json"
)

// Fingerprint is the hex sha256 of a certificate's DER form.
func Fingerprint(leaf *x509.Certificate) string {
	sum := sha256.Sum256(leaf.Raw)
	return hex.EncodeToString(sum[:])
}

func readLeaf(dir string) (*x509.Certificate, error) {
	chain, err := os.ReadFile(filepath.Join(dir, certFile))
	if err != nil {
		return nil, err
	}
	return parseLeaf(chain)
}

func parseLeaf(chain []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(chain)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("the chain has no PEM certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

// madeFor returns what the pair in dir was made for.
func madeFor(dir string) (made plan.Certificate, err error) {
	raw, err := os.ReadFile(filepath.Join(dir, requestFile))
	if err != nil {
		return made, err
	}
	return made, json.Unmarshal(raw, &made)
}

// good reports whether the stored pair serves the certificate wanted for long enough.
func (m *Maker) good(wanted plan.Certificate) bool {
	dir := filepath.Join(m.Dir, wanted.Name)
	made, err := madeFor(dir)
	if err != nil || made.Name != wanted.Name || made.Purpose != wanted.Purpose || made.Owner != wanted.Owner {
		return false
	}
	key, err := readKey(dir)
	if err != nil {
		return false
	}
	leaf, err := readLeaf(dir)
	return err == nil && key.PublicKey.Equal(leaf.PublicKey) && m.Now().Before(Due(leaf))
}

func readKey(dir string) (*ecdsa.PrivateKey, error) {
	path := filepath.Join(dir, keyFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return join.ParseKey(path, raw)
}

// pair is a key pair that is being made or renewed.
type pair struct {
	wanted plan.Certificate
	key    *ecdsa.PrivateKey
	// keyPEM is set for a key that is not on disk yet.
	keyPEM []byte
}

// begin returns the pair with the key that is on disk, whatever it was certified for: whoever has the
// key open meets only certificates that are for it. A new key is made where there is none, or one that
// is no key; one that cannot be read just now is left alone.
func (m *Maker) begin(wanted plan.Certificate) (pair, error) {
	p := pair{wanted: wanted}
	dir := filepath.Join(m.Dir, wanted.Name)
	var err error
	p.key, err = readKey(dir)
	if errors.Is(err, fs.ErrNotExist) || fault.IsTerminal(err) {
		p.key, p.keyPEM, err = join.NewKey()
		return p, err
	}
	if err != nil {
		return p, err
	}
	if made, err := madeFor(dir); err != nil || made.Owner != wanted.Owner {
		p.keyPEM, err = os.ReadFile(filepath.Join(dir, keyFile)) // the same, for another user
		return p, err
	}
	return p, nil
}

// store writes a pair whose key was certified. A renewal replaces one file, by a rename within the
// directory that components have mounted. The restarts that it calls for are journalled before.
func (m *Maker) store(p pair, chain string) error {
	leaf, err := parseLeaf([]byte(chain))
	if err != nil {
		return fault.Terminalf("the control plane's answer: %w", err)
	}
	if !p.key.PublicKey.Equal(leaf.PublicKey) {
		return fault.Terminalf("the control plane certified another key than was asked for")
	}
	request, err := json.Marshal(p.wanted)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	dir := filepath.Join(m.Dir, p.wanted.Name)
	if err := durable.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if wasThere(dir) {
		if err := m.owe(p.wanted, leaf); err != nil {
			return err
		}
	}
	if p.keyPEM != nil {
		if err := m.clear(dir, p.key); err != nil {
			return err
		}
		if err := durable.WriteOwned(filepath.Join(dir, keyFile), p.keyPEM, 0o400, p.wanted.Owner); err != nil {
			return err
		}
	}
	if err := durable.WriteOwned(filepath.Join(dir, certFile), []byte(chain), 0o444, p.wanted.Owner); err != nil {
		return err
	}
	if made, err := madeFor(dir); err == nil && slices.Equal(made.Restart, p.wanted.Restart) && made.Purpose == p.wanted.Purpose {
		return nil
	}
	return durable.WriteFile(filepath.Join(dir, requestFile), request, 0o444)
}

// wasThere reports whether somebody may have read a pair in dir: a first one calls for no restarts.
func wasThere(dir string) bool {
	_, err1 := os.Lstat(filepath.Join(dir, certFile))
	_, err2 := os.Lstat(filepath.Join(dir, keyFile))
	return err1 == nil || err2 == nil
}

// clear makes room for a key: the request goes, without which the pair does not count, so that a crash
// makes it anew; and so does a certificate for another key. A reader meets half a pair then, which it
// cannot use, but never one of two halves.
func (m *Maker) clear(dir string, key *ecdsa.PrivateKey) error {
	gone := []string{requestFile}
	if leaf, err := readLeaf(dir); err != nil || !key.PublicKey.Equal(leaf.PublicKey) {
		gone = append(gone, certFile)
	}
	for _, name := range gone {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	// Durable before the key is: a power loss must not bring the certificate back beside it.
	return durable.SyncDir(dir)
}

// owe journals the restarts of the units that read a pair at their start only.
func (m *Maker) owe(wanted plan.Certificate, leaf *x509.Certificate) error {
	if m.Owe == nil || len(wanted.Restart) == 0 {
		return nil
	}
	var restarts []journal.Owed
	for _, unit := range wanted.Restart {
		restarts = append(restarts, journal.Owed{Unit: unit, Certificate: wanted.Name, Fingerprint: Fingerprint(leaf)})
	}
	return m.Owe(restarts)
}

// Current returns the fingerprint of a pair's certificate, "" when there is none.
func (m *Maker) Current(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	leaf, err := readLeaf(filepath.Join(m.Dir, name))
	if err != nil {
		return ""
	}
	return Fingerprint(leaf)
}
