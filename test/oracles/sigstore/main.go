// Sigstore verifies a sigstore bundle with a public key as sigstore's own library does, without a
// network: no transparency log, no timestamps, no certificates. It prints the predicate type of what
// was verified, or "refused:" and the library's reason.
package main

import (
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
)

func main() {
	key := flag.String("key", "", "public key, PEM")
	file := flag.String("bundle", "", "the bundle, JSON")
	digest := flag.String("digest", "", "sha256:<hex> of what it is about")
	flag.Parse()
	result, err := check(*key, *file, *digest)
	if err != nil {
		fmt.Println("refused:", err)
		return
	}
	fmt.Println(result.Statement.GetPredicateType())
}

func check(keyFile, bundleFile, digest string) (*verify.VerificationResult, error) {
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM in " + keyFile)
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	trusted := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		v, err := signature.LoadVerifier(public, crypto.SHA256)
		return root.NewExpiringKey(v, time.Time{}, time.Time{}), err
	})
	verifier, err := verify.NewVerifier(trusted, verify.WithNoObserverTimestamps())
	if err != nil {
		return nil, err
	}
	b, err := bundle.LoadJSONFromPath(bundleFile)
	if err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(strings.TrimPrefix(digest, "sha256:"))
	if err != nil {
		return nil, err
	}
	return verifier.Verify(b, verify.NewPolicy(verify.WithArtifactDigest("sha256", raw), verify.WithKey()))
}
