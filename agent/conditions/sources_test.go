package conditions_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/conditions"
	"slipway.build/slipway/agent/protocol"
)

// one returns the condition of that type that a source sees now.
func one(t *testing.T, source conditions.Source, name string) protocol.Condition {
	t.Helper()
	for _, condition := range source.Look(context.Background()) {
		if condition.Type == name {
			return condition
		}
	}
	t.Fatalf("the source sees no %s", name)
	return protocol.Condition{}
}

// is checks status and reason.
func is(t *testing.T, c protocol.Condition, status, reason string) {
	t.Helper()
	if c.Status != status || c.Reason != reason {
		t.Errorf("%s is %s for %s (%s), want %s for %s", c.Type, c.Status, c.Reason, c.Message, status, reason)
	}
}

func TestADiskIsShortBelowTenPercentAndWellAboveFifteen(t *testing.T) {
	var space, inodes uint64
	var broken error
	disk := &conditions.Disk{Path: "/", Stat: func(_ string, fs *unix.Statfs_t) error {
		*fs = unix.Statfs_t{Bsize: 4096, Blocks: 1000, Bavail: space, Files: 1000, Ffree: inodes}
		return broken
	}}
	for _, step := range []struct {
		space, inodes  uint64
		status, reason string
	}{
		{500, 500, "False", "Enough"}, {120, 500, "False", "Enough"}, {99, 500, "True", "SpaceLow"},
		{120, 500, "True", "SpaceLow"}, {150, 500, "False", "Enough"}, {150, 99, "True", "InodesLow"},
		{150, 149, "True", "InodesLow"}, {150, 150, "False", "Enough"},
	} {
		space, inodes = step.space, step.inodes
		is(t, one(t, disk, "DiskPressure"), step.status, step.reason)
	}
	broken = errors.New("input/output error")
	is(t, one(t, disk, "DiskPressure"), "Unknown", "Unreadable")
}

func TestARealDiskIsRead(t *testing.T) {
	c := one(t, &conditions.Disk{Path: t.TempDir()}, "DiskPressure")
	if c.Status == "Unknown" {
		t.Errorf("%+v", c)
	}
}

// tree writes files below a new root.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const mib = "1048576"

func TestMemoryIsThatOfTheNodeWhetherMachineOrContainer(t *testing.T) {
	machine := func(available string) string {
		return "MemTotal:       1000000 kB\nMemFree: 1 kB\nMemAvailable:   " + available + " kB\n"
	}
	v1 := func(usage string) map[string]string {
		return map[string]string{
			"proc/meminfo": machine("500000"), "sys/fs/cgroup/memory/memory.limit_in_bytes": "104857600\n",
			"sys/fs/cgroup/memory/memory.usage_in_bytes": usage + "\n", "sys/fs/cgroup/memory/memory.stat": "cache 9\ntotal_inactive_file " + mib + "\n",
		}
	}
	for name, test := range map[string]struct {
		files          map[string]string
		status, reason string
	}{
		"enough":                      {map[string]string{"proc/meminfo": machine("500000")}, "False", "Enough"},
		"little":                      {map[string]string{"proc/meminfo": machine("49000")}, "True", "MemoryLow"},
		"stalls":                      {map[string]string{"proc/meminfo": machine("500000"), "proc/pressure/memory": "some avg10=0.00 avg60=12.50 avg300=1.00 total=5\nfull avg10=0 avg60=0 avg300=0 total=0\n"}, "True", "Stalls"},
		"others' stalls":              {map[string]string{"proc/meminfo": machine("500000"), "proc/pressure/memory": "some avg10=0.00 avg60=50.00 avg300=1.00 total=5\n", "sys/fs/cgroup/memory.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=5\n"}, "False", "Enough"},
		"a v1 container":              {v1("50000000"), "False", "Enough"},
		"a full v1 container":         {v1("104857600"), "True", "MemoryLow"},
		"a full v2 container":         {map[string]string{"proc/meminfo": machine("500000"), "sys/fs/cgroup/memory.max": "104857600\n", "sys/fs/cgroup/memory.current": "104857600\n", "sys/fs/cgroup/memory.stat": "inactive_file 0\n"}, "True", "MemoryLow"},
		"a v2 container of caches":    {map[string]string{"proc/meminfo": machine("500000"), "sys/fs/cgroup/memory.max": "104857600\n", "sys/fs/cgroup/memory.current": "104857600\n", "sys/fs/cgroup/memory.stat": "anon 5\ninactive_file 52428800\n"}, "False", "Enough"},
		"a v2 container unbounded":    {map[string]string{"proc/meminfo": machine("500000"), "sys/fs/cgroup/memory.max": "max\n"}, "False", "Enough"},
		"no meminfo":                  {nil, "Unknown", "Unreadable"},
		"a meminfo that says nothing": {map[string]string{"proc/meminfo": "MemTotal: many kB\n"}, "Unknown", "Unreadable"},
		"pressure that says nothing":  {map[string]string{"proc/meminfo": machine("500000"), "proc/pressure/memory": "\n"}, "Unknown", "Unreadable"},
	} {
		t.Run(name, func(t *testing.T) {
			is(t, one(t, &conditions.Memory{Root: tree(t, test.files)}, "MemoryPressure"), test.status, test.reason)
		})
	}
}

func TestMemoryOfThisMachineIsRead(t *testing.T) {
	if c := one(t, &conditions.Memory{}, "MemoryPressure"); c.Status == "Unknown" {
		t.Errorf("%+v", c)
	}
}

func TestAClockIsSkewedBeyondThreeSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var offset conditions.Offset
		clock := &conditions.Clock{Offset: func() conditions.Offset { return offset }, Container: "/nowhere"}
		is(t, one(t, clock, "ClockSkew"), "Unknown", "NotCompared")
		for _, step := range []struct {
			ahead          time.Duration
			status, reason string
		}{
			{0, "False", "Close"}, {3 * time.Second, "False", "Close"}, {-5 * time.Second, "True", "Skewed"},
			{-3 * time.Second, "True", "Skewed"}, {-2 * time.Second, "False", "Close"}, {time.Hour, "True", "Skewed"},
		} {
			offset = conditions.Offset{Ahead: step.ahead, Within: time.Second, At: time.Now(), Elapsed: time.Minute}
			time.Sleep(time.Minute)
			is(t, one(t, clock, "ClockSkew"), step.status, step.reason)
		}
	})
}

func TestAClockThatWasSetSinceTheComparisonIsSkewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// A minute has passed, and the clock shows an hour more than that.
		offset := conditions.Offset{At: time.Now(), Elapsed: time.Minute}
		time.Sleep(time.Hour + time.Minute)
		c := one(t, &conditions.Clock{Offset: func() conditions.Offset { return offset }}, "ClockSkew")
		is(t, c, "True", "Skewed")
		if !strings.Contains(c.Message, "1h0m0s ahead") {
			t.Errorf("message %q", c.Message)
		}
	})
}

func TestTheKernelSaysWhetherItsClockIsSynchronized(t *testing.T) {
	for name, test := range map[string]struct {
		status         int32
		err            error
		container      bool
		verdict, cause string
	}{
		"synchronized":   {0, nil, false, "False", "Synchronized"},
		"unsynchronized": {unix.STA_UNSYNC, nil, false, "True", "NoTimeSource"},
		"a container":    {unix.STA_UNSYNC, nil, true, "False", "HostClock"},
		"not permitted":  {0, unix.EPERM, false, "Unknown", "Unreadable"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "container")
			if test.container {
				if err := os.WriteFile(file, []byte("systemd-nspawn\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			clock := &conditions.Clock{
				Offset: func() conditions.Offset { return conditions.Offset{} }, Container: file,
				Adjust: func(x *unix.Timex) (int, error) { x.Status = test.status; return 0, test.err },
			}
			is(t, one(t, clock, "ClockUnsynchronized"), test.verdict, test.cause)
		})
	}
}

// chain makes a certificate with that life.
func chain(t *testing.T, from, until time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestTheCertificateThatEndsFirstIsNamed(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	of := func(past, left time.Duration) []byte { return chain(t, now.Add(-past), now.Add(left)) }
	for name, test := range map[string]struct {
		chains                  map[string][]byte
		err                     error
		status, reason, message string
	}{
		"young":           {map[string][]byte{"a": of(day, 90*day), "b": of(day, 80*day)}, nil, "False", "Valid", "certificate b, of 2"},
		"due":             {map[string][]byte{"a": of(60*day, 30*day)}, nil, "False", "Valid", "in 30 days"},
		"late":            {map[string][]byte{"a": of(80*day, 10*day), "b": of(day, 90*day)}, nil, "True", "ExpiresSoon", "1 of 2 are not renewed"},
		"late, not first": {map[string][]byte{"a": of(80*day, 10*day), "b": of(time.Hour, 9*day)}, nil, "True", "ExpiresSoon", "certificate b"},
		"expired":         {map[string][]byte{"a": of(80*day, -time.Hour)}, nil, "True", "Expired", "1h0m0s ago"},
		"garbage":         {map[string][]byte{"a": []byte("PEM?")}, nil, "Unknown", "Unreadable", "certificate a"},
		"none":            {nil, nil, "Unknown", "NoCertificate", ""},
		"unreadable":      {nil, os.ErrPermission, "Unknown", "Unreadable", "permission"},
	} {
		t.Run(name, func(t *testing.T) {
			source := &conditions.Expiry{Chains: func() (map[string][]byte, error) { return test.chains, test.err }, Now: func() time.Time { return now }}
			c := one(t, source, "CertificateExpiry")
			is(t, c, test.status, test.reason)
			if !strings.Contains(c.Message, test.message) {
				t.Errorf("message %q does not say %q", c.Message, test.message)
			}
		})
	}
}

func TestASignalThatWaitsForMinutesIsTold(t *testing.T) {
	now := time.Now()
	var oldest time.Time
	source := &conditions.Outbox{Oldest: func() (time.Time, error) { return oldest, nil }, Now: func() time.Time { return now }}
	is(t, one(t, source, "SignalsWaiting"), "False", "Delivered")
	oldest = now.Add(-time.Minute)
	is(t, one(t, source, "SignalsWaiting"), "False", "Delivered")
	oldest = now.Add(-6 * time.Minute)
	is(t, one(t, source, "SignalsWaiting"), "True", "NotAccepted")
}
