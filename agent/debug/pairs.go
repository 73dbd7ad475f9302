package debug

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"slipway.build/slipway/agent/plan"
)

// certificate looks at one pair: both files with their modes and owner, and the validity.
func (n *Node) certificate(wanted plan.Certificate) []Finding {
	dir := filepath.Join(n.Root, "pki", wanted.Name)
	what := "certificate " + wanted.Name
	findings := []Finding{
		kept(what+" key", filepath.Join(dir, "tls.key"), 0o400, wanted.Owner),
		kept(what, filepath.Join(dir, "tls.crt"), 0o444, wanted.Owner),
	}
	if !findings[1].OK {
		return findings
	}
	valid := Finding{Class: ClassCertificate, What: what + " validity", Expected: "valid now", Found: "valid now", OK: true}
	leaf, err := readLeaf(filepath.Join(dir, "tls.crt"))
	now := n.Now()
	switch {
	case err != nil:
		valid.Found, valid.OK = err.Error(), false
	case now.After(leaf.NotAfter):
		valid.Found, valid.OK = "expired on "+leaf.NotAfter.UTC().Format(time.RFC3339), false
	case now.Before(leaf.NotBefore):
		valid.Found, valid.OK = "not valid before "+leaf.NotBefore.UTC().Format(time.RFC3339)+" (is the clock right?)", false
	}
	return append(findings, valid)
}

func readLeaf(path string) (*x509.Certificate, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s holds no PEM certificate", path)
	}
	return x509.ParseCertificate(block.Bytes)
}

// secret looks at the file of one secret, not into it.
func (n *Node) secret(wanted plan.Secret) Finding {
	name := wanted.Name + "@" + wanted.Version
	return kept("secret "+name, filepath.Join(n.Root, "secrets", name), 0o400, wanted.Owner)
}

// kept compares mode and owner of a file.
func kept(what, path string, mode os.FileMode, owner string) Finding {
	finding := Finding{Class: ClassCertificate, What: what, Expected: fmt.Sprintf("%04o %s", mode, owner)}
	info, err := os.Lstat(path)
	if err != nil {
		finding.Found = err.Error()
		return finding
	}
	finding.Found = fmt.Sprintf("%04o", info.Mode().Perm())
	if !info.Mode().IsRegular() {
		finding.Found = info.Mode().String()
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		finding.Found += " " + ownerName(stat.Uid)
	}
	finding.OK = finding.Found == finding.Expected
	return finding
}

func ownerName(uid uint32) string {
	number := strconv.FormatUint(uint64(uid), 10)
	if account, err := user.LookupId(number); err == nil {
		return account.Username
	}
	return number
}
