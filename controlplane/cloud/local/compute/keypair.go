package compute

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/crypto/ssh"

	"slipway.build/slipway/controlplane/cloud"
)

var keypairForm = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9 ._@-]{0,254}$`)

// Keypair returns the public key in authorized_keys form, or an error that
// errors.Is(err, cloud.ErrNotFound). The local cloud has one user, whose keypairs every project
// sees.
func (c *Compute) Keypair(_ context.Context, _, name string) (string, error) {
	if !keypairForm.MatchString(name) {
		return "", fmt.Errorf("keypair %q: %w", name, cloud.ErrNotFound)
	}
	data, err := os.ReadFile(c.keypairPath(name) + ".pub")
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("keypair %s: %w", name, cloud.ErrNotFound)
	}
	if err != nil {
		return "", fmt.Errorf("keypair %s: %w", name, err)
	}
	return strings.TrimSpace(string(data)), nil
}

// EnsureKeypair makes the keypair (Ed25519) when there is none of that name, and returns the path of the
// private key, mode 0600, and the public key.
func (c *Compute) EnsureKeypair(ctx context.Context, name string) (private, public string, err error) {
	if !keypairForm.MatchString(name) {
		return "", "", fmt.Errorf("keypair %q: a name has letters, digits, spaces and ._@- only", name)
	}
	unlock, err := c.lock(ctx, "keypairs")
	if err != nil {
		return "", "", err
	}
	defer unlock()
	private = c.keypairPath(name)
	public, err = c.Keypair(ctx, "", name)
	if !errors.Is(err, cloud.ErrNotFound) {
		return private, public, err
	}
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("keypair %s: %w", name, err)
	}
	block, err := ssh.MarshalPrivateKey(key, name)
	if err != nil {
		return "", "", fmt.Errorf("keypair %s: %w", name, err)
	}
	sshPub, err := ssh.NewPublicKey(pub)
	if err != nil {
		return "", "", fmt.Errorf("keypair %s: %w", name, err)
	}
	public = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(sshPub))) + " " + name
	// The public half last: it is what makes the pair known.
	if err := writeFile(private, pem.EncodeToMemory(block), 0o600); err != nil {
		return "", "", fmt.Errorf("keypair %s: %w", name, err)
	}
	if err := writeFile(private+".pub", []byte(public+"\n"), 0o644); err != nil {
		return "", "", fmt.Errorf("keypair %s: %w", name, err)
	}
	return private, public, nil
}

func (c *Compute) keypairPath(name string) string { return filepath.Join(c.Dir, "keypairs", name) }
