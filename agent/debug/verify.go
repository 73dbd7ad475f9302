package debug

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/trust"
)

// Classes of what is compared.
const (
	ClassImage       = "image"       // the store's copies
	ClassGeneration  = "generation"  // files, units, exec files, links of the current generation
	ClassUnit        = "unit"        // what systemd has loaded
	ClassProcess     = "process"     // what runs
	ClassCertificate = "certificate" // pairs and secrets: there, valid, and nobody else's to read
)

// Finding is one thing that was compared with the signed lock or the signed plan.
type Finding struct {
	Class    string `json:"class"`
	What     string `json:"what"`
	Expected string `json:"expected"`
	Found    string `json:"found"`
	OK       bool   `json:"ok"`
}

// Report is the answer of `slipway-agent verify`.
type Report struct {
	Generation uint64    `json:"generation"`
	Plan       string    `json:"plan"` // digest
	SignedBy   []string  `json:"signedBy"`
	Lock       string    `json:"lock"` // digest
	LockKey    string    `json:"lockKey"`
	LockFile   string    `json:"lockFile"`
	Findings   []Finding `json:"findings"`
	// Skipped says what could not be compared, and why.
	Skipped []string `json:"skipped,omitempty"`
}

// Bad returns how many findings differ.
func (r *Report) Bad() int {
	bad := 0
	for _, finding := range r.Findings {
		if !finding.OK {
			bad++
		}
	}
	return bad
}

// Verify checks the plan's and the lock's signatures again, without any server, and compares
// everything that follows from them: every file of every image in the store, everything in the
// current generation, the units as systemd has loaded them, every process of theirs, and the
// certificates. Private keys are looked at, never read. The error says that it could not be done;
// what differs is in the findings.
func (n *Node) Verify(ctx context.Context) (*Report, error) {
	f := n.look(ctx)
	if f.genErr != nil && f.number == 0 {
		return nil, f.genErr
	}
	if f.number == 0 {
		return nil, ErrNone
	}
	if f.checkErr != nil {
		return nil, f.checkErr
	}
	v := &verification{n: n, f: f, checked: f.checked, sums: map[inode]string{}}
	v.report = &Report{Generation: f.number, Plan: f.checked.Digest, Lock: f.checked.Plan.Lock}
	v.report.LockKey, v.report.LockFile = n.signer(f.number)
	delivery, err := n.store().Delivery(f.number)
	if err != nil {
		return nil, err
	}
	v.report.SignedBy = keyIDs(delivery.Envelope)
	items, err := n.store().Expected(f.checked, delivery, f.filled)
	if err != nil {
		return nil, err
	}
	v.images()
	v.generation(items)
	v.units(ctx)
	v.processes(ctx)
	for _, certificate := range f.checked.Plan.Certificates {
		v.report.Findings = append(v.report.Findings, n.certificate(certificate)...)
	}
	for _, secret := range f.checked.Plan.Secrets {
		v.report.Findings = append(v.report.Findings, n.secret(secret))
	}
	return v.report, ctx.Err()
}

type verification struct {
	n       *Node
	f       *facts
	checked *trust.Checked
	report  *Report
	sums    map[inode]string
}

// inode identifies a file; hard links are hashed once.
type inode struct{ device, number uint64 }

func (v *verification) add(class, what, expected, found string) {
	v.report.Findings = append(v.report.Findings, Finding{Class: class, What: what, Expected: expected, Found: found, OK: found == expected})
}

func (v *verification) sum(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return err.Error()
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if ok {
		if known := v.sums[inode{stat.Dev, stat.Ino}]; known != "" {
			return known
		}
	}
	found, err := sumOf(path)
	if err != nil {
		return err.Error()
	}
	if ok {
		v.sums[inode{stat.Dev, stat.Ino}] = found
	}
	return found
}

func (v *verification) images() {
	store := v.n.store().Images
	for _, image := range v.checked.Plan.Images {
		platform := v.checked.Platforms[image.Name]
		if image.Import == "" {
			for _, file := range platform.Files {
				v.add(ClassImage, "image "+image.Name+" file "+file.Path, file.SHA256, v.sum(filepath.Join(store.Root(image.Digest), filepath.FromSlash(file.Path))))
			}
			continue
		}
		for _, layer := range platform.Layers {
			blob := strings.TrimPrefix(layer.Digest, "sha256:")
			v.add(ClassImage, "image "+image.Name+" layer "+layer.Digest, blob, v.sum(filepath.Join(store.Layout(image.Digest), "blobs", "sha256", blob)))
		}
	}
}

// generation compares the current generation's directory with what the plan would be staged as.
func (v *verification) generation(items []generation.Item) {
	dir := v.n.store().Dir(v.f.number)
	for _, item := range items {
		path := filepath.Join(dir, item.Path)
		switch {
		case item.IsDir():
		case item.IsLink():
			v.add(ClassGeneration, item.Path, item.SHA256, v.sum(path))
		default:
			expected := hexSum(item.Content)
			raw, err := os.ReadFile(path)
			found := hexSum(raw)
			switch {
			case err != nil:
				found = err.Error()
			case found != expected && sameSpec(item, raw):
				found = expected
			}
			v.add(ClassGeneration, item.Path, expected, found)
		}
	}
}

// sameSpec reports whether an exec file is the expected one but for the note that its state was
// filled, which it gets after it was staged.
func sameSpec(item generation.Item, raw []byte) bool {
	return strings.HasPrefix(item.Path, "exec/") && bytes.Equal(withoutFilled(item.Content), withoutFilled(raw))
}

func withoutFilled(raw []byte) []byte {
	return bytes.Replace(raw, []byte(`,"filled":true`), nil, 1)
}

func hexSum(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

func sumOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// units compares what systemd has loaded with the plan.
func (v *verification) units(ctx context.Context) {
	for _, unit := range v.checked.Plan.Units {
		status, err := v.n.Systemd.Status(ctx, unit.Name)
		if err != nil {
			v.report.Skipped = append(v.report.Skipped, fmt.Sprintf("units and processes: %v", err))
			return
		}
		const asPlanned = "loaded as planned"
		part := &subject{n: v.n, f: v.f, unit: &unit, status: status, a: &Answer{}}
		part.loading()
		found := asPlanned
		if len(part.a.Causes) > 0 {
			found = part.a.Causes[0].What
		} else if status.Stale {
			found = "changed on disk after systemd had loaded it"
		}
		v.add(ClassUnit, "unit "+unit.Name, asPlanned, found)
	}
}
