package nodeplan

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/imagebuild/lock"
)

// testLock is a lock of two Kubernetes releases in which every image has its own bytes.
func testLock(t *testing.T, versions ...string) *lock.Lock {
	t.Helper()
	l := &lock.Lock{Schema: lock.Schema, Toolchain: "go1.26.7"}
	add := func(name, version string, files ...string) {
		sum := func(what string) string {
			s := sha256.Sum256([]byte(name + version + what))
			return hex.EncodeToString(s[:])
		}
		p := lock.Platform{
			Platform: "linux/amd64", Manifest: "sha256:" + sum("manifest"), Size: 500, Config: "sha256:" + sum("config"),
			Layers: []lock.Layer{{Digest: "sha256:" + sum("blob"), DiffID: "sha256:" + sum("tar"), Size: 1000}},
		}
		for _, f := range files {
			p.Files = append(p.Files, lock.Binary{Path: f, SHA256: sum(f), Size: 3000})
		}
		l.Images = append(l.Images, lock.Image{Name: name, Version: version, Repository: "slipway/" + name, Index: "sha256:" + sum("index"),
			Source: lock.Source{Module: "example.org/" + name, Version: version, Sum: "h1:oyM9Y9vzd0fY3Ahn0sVlwxY5pHR1ZxQAk1WTqcUZMDo=",
				Packages: []string{"example.org/" + name}, GoSum: "sha256:" + sum("go.sum")},
			Platforms: []lock.Platform{p}})
	}
	for _, name := range []string{"containerd", "coredns", "etcd", "pause"} {
		add(name, "v1.0.0", "usr/bin/"+name)
	}
	add("cni", "v1.0.0", "usr/lib/cni/bridge")
	add("containerd-shim", "v1.0.0", "usr/bin/containerd-shim-runc-v2")
	for _, version := range versions {
		for _, name := range []string{"kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubelet"} {
			add(name, version, "usr/bin/"+name)
		}
	}
	slices.SortFunc(l.Images, func(a, b lock.Image) int { return a.Compare(&b) })
	l.Issue(1, time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), time.Hour)
	if err := l.Validate(); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestAnUpgradeRestartsWhatItChanges(t *testing.T) {
	from, to := testLock(t, "v1.36.1"), testLock(t, "v1.36.9", "v1.36.10")
	deltas, err := Deltas(Way{From: from, To: to})
	if err != nil || len(deltas) != 2 {
		t.Fatalf("%+v, %v", deltas, err)
	}
	master, worker := deltas[0], deltas[1]
	if master.Role != "master" || master.To != "v1.36.10" {
		t.Errorf("a %s goes to %s", master.Role, master.To)
	}
	for _, unit := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"} {
		if !slices.Contains(master.Restart, "slipway-"+unit+".service") {
			t.Errorf("a master does not restart %s: %v", unit, master.Restart)
		}
	}
	if want := []string{"slipway-kubelet.service", "slipway-kube-proxy.service"}; len(worker.Restart) != 2 || !slices.Contains(worker.Restart, want[0]) || !slices.Contains(worker.Restart, want[1]) {
		t.Errorf("a worker restarts %v", worker.Restart)
	}
	if master.Fetch.Bytes != 5*1500 || worker.Fetch.Bytes != 2*1500 {
		t.Errorf("%d and %d bytes travel", master.Fetch.Bytes, worker.Fetch.Bytes)
	}
}

func TestThePauseImageRestartsTheRuntimeOnly(t *testing.T) {
	from, to := testLock(t, "v1.36.3"), testLock(t, "v1.36.3")
	pause := to.ByName("pause")[0]
	pause.Platforms[0].Manifest = "sha256:" + strings.Repeat("ab", 32)
	deltas, err := Deltas(Way{From: from, To: to})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range deltas {
		if !slices.Equal(d.Restart, []string{"slipway-containerd.service"}) || len(d.Stop)+len(d.Start) != 0 {
			t.Errorf("a %s restarts %v, stops %v, starts %v", d.Role, d.Restart, d.Stop, d.Start)
		}
		if len(d.Fetch.Images) != 1 || d.Fetch.Bytes != 500 || d.Fetch.Images[0].Layers[0].Reuse != "blob" {
			t.Errorf("a %s fetches %+v", d.Role, d.Fetch)
		}
	}
}

func TestNothingIsDoneBetweenEqualLocks(t *testing.T) {
	l := testLock(t, "v1.36.3")
	deltas, err := Deltas(Way{From: l, To: l})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range deltas {
		if len(d.Fetch.Images)+len(d.Restart)+len(d.Stop)+len(d.Start) != 0 {
			t.Errorf("%+v", d)
		}
	}
}

func TestALockThatMakesNoClusterIsAnError(t *testing.T) {
	good := testLock(t, "v1.36.3")
	for name, tt := range map[string]struct {
		way  Way
		want string
	}{
		"no Kubernetes":        {Way{From: good, To: good.Only("etcd")}, "has no Kubernetes"},
		"a version of neither": {Way{From: good, To: good, ToVersion: "v1.35.0"}, "v1.35.0"},
		"no etcd":              {Way{From: good, To: without(good, "etcd")}, "etcd"},
	} {
		if _, err := Deltas(tt.way); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func without(l *lock.Lock, name string) *lock.Lock {
	part := *l
	part.Images = slices.DeleteFunc(slices.Clone(l.Images), func(i lock.Image) bool { return i.Name == name })
	return &part
}
