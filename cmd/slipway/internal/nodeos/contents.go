package nodeos

import (
	"fmt"
	"os"

	"slipway.build/slipway/cmd/slipway/internal/images"
	"slipway.build/slipway/imagebuild/osimage"
	"slipway.build/slipway/imagebuild/osimage/program"
)

// Contents returns what goes into an OS layer of these programs with the lock that is published in a state
// directory and the local key that has signed it.
func Contents(paths images.Paths, programs program.Programs) (osimage.Contents, error) {
	c := osimage.Contents{Agent: programs.Agent, ImportTool: programs.ImportTool, Exec: programs.Exec, Verifier: programs.Verifier}
	for path, to := range map[string]*[]byte{
		paths.PublicKey(): &c.TrustKeys, paths.Lock(): &c.Lock, paths.Signature(): &c.LockSignature,
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			return c, err
		}
		*to = text
	}
	return c, nil
}

// Signed returns the contents for a lock in a file and a key that signs it here and now.
// Signing is deterministic: a lock that the key has signed before gets the same bytes.
func Signed(file string, key Signer, programs program.Programs) (osimage.Contents, error) {
	c := osimage.Contents{Agent: programs.Agent, ImportTool: programs.ImportTool, Exec: programs.Exec, Verifier: programs.Verifier}
	var err error
	if c.TrustKeys, err = key.PublicPEM(); err != nil {
		return c, err
	}
	if c.Lock, err = os.ReadFile(file); err != nil {
		return c, err
	}
	if c.LockSignature, err = key.Sign(c.Lock); err != nil {
		return c, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// Extract makes the layer of contents and unpacks it below a directory, whose path in it is returned.
func Extract(c osimage.Contents, dir string) (*osimage.Layer, string, error) {
	layer, err := osimage.New(c)
	if err != nil {
		return nil, "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, "", err
	}
	path, err := layer.ExtractTo(dir)
	return layer, path, err
}

// Signer is a private key.
type Signer interface {
	PublicPEM() ([]byte, error)
	Sign(lock []byte) ([]byte, error)
}
