package standalone

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
)

// KeysFile is the file of plan keys, beside the agent's configuration.
const KeysFile = "plan-keys.pem"

// SecretsDir is the directory of the values of secrets, beside the agent's configuration.
const SecretsDir = "secrets"

// maxKeys bounds the file in bytes: some hundred keys.
const maxKeys = 64 << 10

// Keys are the plan keys that a node without a control plane believes.
type Keys struct {
	// Name says where they are from and changes with them. It stands for the control plane in the
	// node's identity, so that other keys make another identity.
	Name string
	List []protocol.PlanKey
}

// scheme begins the name.
const scheme = "file:"

// Is reports whether the name of a control plane is that of a file of keys.
func Is(controlPlane string) bool { return strings.HasPrefix(controlPlane, scheme) }

// ReadKeys reads ECDSA P-256 public keys in PEM. The file has to be a regular one that its owner,
// this process's user, alone may write, in a directory of which the same holds. Errors are terminal.
func ReadKeys(path string) (*Keys, error) {
	raw, err := readOwn(path, maxKeys)
	if err != nil {
		return nil, fault.Terminalf("plan keys of a node without a control plane: %w", err)
	}
	sum := sha256.Sum256(raw)
	keys := &Keys{Name: scheme + path + "@sha256:" + hex.EncodeToString(sum[:])}
	for rest := raw; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if text := strings.TrimSpace(string(rest)); text != "" {
				return nil, fault.Terminalf("%s: there is something that is no PEM: %.40q", path, text)
			}
			break
		}
		public, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fault.Terminalf("%s: a %s is no public key: %w", path, block.Type, err)
		}
		ec, ok := public.(*ecdsa.PublicKey)
		if !ok || ec.Curve.Params().BitSize != 256 {
			return nil, fault.Terminalf("%s: plan keys are ECDSA P-256, one is a %T", path, public)
		}
		key, err := plan.PublicKey(ec)
		if err != nil {
			return nil, fault.Terminalf("%s: %w", path, err)
		}
		keys.List = append(keys.List, key)
	}
	if len(keys.List) == 0 {
		return nil, fault.Terminalf("%s has no key", path)
	}
	return keys, nil
}

// readOwn reads a file that nobody else could have written.
func readOwn(path string, limit int64) ([]byte, error) {
	dir, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	if err := own(filepath.Dir(path), dir); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file (%s)", path, info.Mode().Type())
	}
	if err := own(path, info); err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = fmt.Errorf("%s has more than the limit of %d bytes", path, limit)
	}
	return raw, err
}

// own demands that nobody but this process's user may write.
func own(path string, info os.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to somebody else: chown root %[1]s", path)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s may be written by others (%s): chmod go-w %[1]s", path, info.Mode().Perm())
	}
	return nil
}
