package prerequisites

import (
	"errors"
	"strings"
	"testing"
)

func TestAllThatIsMissingIsNamedAtOnceWithTheRemedy(t *testing.T) {
	host := Host{
		LookPath: func(name string) (string, error) {
			if name == "ip" {
				return "/usr/bin/ip", nil
			}
			return "", errors.New("not found")
		},
		Exists: func(path string) bool { return path == "/usr/sbin/nft" },
		UID:    1000,
	}
	err := Check(host, Programs())
	if err == nil {
		t.Fatal("nothing is missing")
	}
	for _, want := range []string{"root is needed", "systemd-nspawn (systemd-container)", "haproxy", "make deps"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
	for _, not := range []string{"ip (", "nft ("} {
		if strings.Contains(err.Error(), not) {
			t.Errorf("%q names %s, which is there", err, not)
		}
	}
}

func TestAMachineWithEverythingPasses(t *testing.T) {
	host := Host{LookPath: func(string) (string, error) { return "/bin/x", nil }, Exists: func(string) bool { return false }}
	if err := Check(host, Programs()); err != nil {
		t.Error(err)
	}
}
