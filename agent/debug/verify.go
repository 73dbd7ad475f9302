package debug

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Finding is one thing that was compared with the signed lock.
type Finding struct {
	What     string `json:"what"`
	Expected string `json:"expected"` // sha256
	Found    string `json:"found"`    // sha256, or why there is none
	OK       bool   `json:"ok"`
}

// Verify checks the plan's and the lock's signatures again, hashes every file of every image in
// the store, in the current generation and in running components, and compares. The error says
// that it could not be done; what differs is in the findings.
func (n *Node) Verify(ctx context.Context) ([]Finding, error) {
	checked, err := n.checked(ctx)
	if err != nil {
		return nil, err
	}
	store := n.store()
	var findings []Finding
	add := func(what, expected, path string) {
		found, err := sumOf(path)
		if err != nil {
			found = err.Error()
		}
		findings = append(findings, Finding{What: what, Expected: expected, Found: found, OK: found == expected})
	}
	for _, image := range checked.Plan.Images {
		platform := checked.Platforms[image.Name]
		if image.Import != "" {
			for _, layer := range platform.Layers {
				blob := strings.TrimPrefix(layer.Digest, "sha256:")
				add("image "+image.Name+" layer "+layer.Digest, blob, filepath.Join(store.Images.Layout(image.Digest), "blobs", "sha256", blob))
			}
			continue
		}
		for _, file := range platform.Files {
			add("image "+image.Name+" file "+file.Path, file.SHA256, filepath.Join(store.Images.Root(image.Digest), filepath.FromSlash(file.Path)))
		}
	}
	for _, unit := range checked.Plan.Units {
		if unit.Exec == nil {
			continue
		}
		file, _ := checked.Platforms[unit.Exec.Image].File(unit.Exec.Binary)
		add("unit "+unit.Name+" binary", file.SHA256, filepath.Join(store.Current(), "roots", unit.Exec.Image, filepath.FromSlash(unit.Exec.Binary)))
		status, err := n.Systemd.Status(ctx, unit.Name)
		if err != nil {
			return nil, err
		}
		for _, child := range children(status.MainPID) {
			add(fmt.Sprintf("unit %s process %s", unit.Name, child), file.SHA256, "/proc/"+child+"/exe")
		}
	}
	return findings, nil
}

// children returns the direct children of a process (proc_pid_task(5)), none for process 0.
func children(pid uint32) []string {
	if pid == 0 {
		return nil
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil
	}
	var out []string
	for _, task := range tasks {
		raw, err := os.ReadFile(task)
		if err == nil {
			out = append(out, strings.Fields(string(raw))...)
		}
	}
	return out
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
