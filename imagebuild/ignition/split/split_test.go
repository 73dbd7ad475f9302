package split

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/coreos/ignition/v2/config/v3_6/types"
	"github.com/vincent-petithory/dataurl"

	"slipway.build/slipway/imagebuild/ignition"
	"slipway.build/slipway/imagebuild/ignition/config"
)

func parse(t *testing.T, data []byte) types.Config {
	t.Helper()
	c, entries := config.Parse("x.ign", data)
	if err := entries.Err(false); err != nil {
		t.Fatal(err)
	}
	return c
}

func add(c *types.Config, path string, contents []byte) {
	source := dataurl.EncodeBytes(contents)
	c.Storage.Files = append(c.Storage.Files, types.File{Node: types.Node{Path: path}, FileEmbedded1: types.FileEmbedded1{Contents: types.Resource{Source: &source}}})
}

func noise(n int) []byte {
	r := rand.New(rand.NewPCG(7, 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func base(t *testing.T) types.Config {
	c := parse(t, []byte(`{"ignition":{"version":"3.6.0","timeouts":{"httpTotal":60}},"passwd":{"users":[{"name":"core"},{"name":"admin","passwordHash":"$y$x"}]},"systemd":{"units":[{"name":"a.service","contents":"[Unit]\n"},{"name":"b.service","contents":"[Service]\nEnvironment=DB_PASSWORD=abcdefghij\n"}]}}`))
	add(&c, "/etc/slipway/agent.yaml", []byte("controlPlane: https://a\ntoken: one-time\n"))
	return c
}

func TestWhatFitsStaysAsItIs(t *testing.T) {
	c := base(t)
	got, err := Fit(c, Options{})
	if err != nil || got.Rest != nil || got.Hash != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	if d, err := config.Difference(c, parse(t, got.UserData)); d != "" || err != nil {
		t.Errorf("%s differs, %v", d, err)
	}
	if strings.Contains(string(got.UserData), "gzip") {
		t.Error("contents are packed without need")
	}
}

func TestContentsArePackedWhenThatIsEnough(t *testing.T) {
	c := base(t)
	add(&c, "/etc/long", bytes.Repeat([]byte("all work and no play\n"), 5000))
	add(&c, "/etc/noise", noise(2000))
	got, err := Fit(c, Options{Version: "3.3.0"})
	if err != nil || got.Rest != nil {
		t.Fatalf("%v", err)
	}
	if len(got.UserData) > ignition.MaxSize || strings.Count(string(got.UserData), `"gzip"`) != 1 || !strings.Contains(string(got.UserData), `"version":"3.3.0"`) {
		t.Errorf("%d bytes", len(got.UserData))
	}
	if d, err := config.Difference(c, parse(t, got.UserData)); d != "" || err != nil {
		t.Errorf("%s differs, %v", d, err)
	}
	if c.Storage.Files[1].Contents.Compression != nil {
		t.Error("the caller's configuration has changed")
	}
}

func TestWhatDoesNotFitIsSplitAndPinned(t *testing.T) {
	c := base(t)
	for i := range 5 {
		add(&c, fmt.Sprintf("/etc/noise%d", i), noise(20000+i))
	}
	if _, err := Fit(c, Options{}); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "49149") {
		t.Errorf("without a URL: %v", err)
	}
	if _, err := Fit(c, Options{URL: "ftp://x/y"}); err == nil {
		t.Error("a URL that Ignition cannot fetch is taken")
	}
	got, err := Fit(c, Options{URL: "https://config.example.org/rest.ign"})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Fit(c, Options{URL: "https://config.example.org/rest.ign"}); err != nil || !bytes.Equal(again.UserData, got.UserData) || !bytes.Equal(again.Rest, got.Rest) {
		t.Errorf("other bytes the second time, %v", err)
	}
	r, err := gzip.NewReader(bytes.NewReader(got.Rest))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	if got.Hash != "sha256-"+hex.EncodeToString(sum[:]) || !strings.Contains(string(got.UserData), got.Hash) {
		t.Errorf("hash %s is not that of the unpacked rest", got.Hash)
	}
	stub, rest := parse(t, got.UserData), parse(t, text)
	if len(got.UserData) > 2000 || len(stub.Ignition.Config.Merge) != 1 || *stub.Ignition.Config.Merge[0].Compression != "gzip" || stub.Ignition.Timeouts.HTTPTotal == nil {
		t.Errorf("stub of %d bytes: %s", len(got.UserData), got.UserData)
	}
	for _, secret := range []string{"agent.yaml", "DB_PASSWORD", "$y$x"} {
		if strings.Contains(string(text), secret) || !strings.Contains(string(got.UserData), secret) {
			t.Errorf("%s is served", secret)
		}
	}
	stub.Ignition.Config.Merge = nil
	if a, b := sorted(t, config.Merge(stub, rest)), sorted(t, c); a != b {
		t.Errorf("merged\n%.3000s\nwant\n%.3000s", a, b)
	}
}

// sorted writes a configuration with its lists in one order, as merging changes it.
func sorted(t *testing.T, c types.Config) string {
	t.Helper()
	b, err := config.Canonical(c)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for section, fields := range m {
		for name, v := range fields {
			list, ok := v.([]any)
			if !ok {
				list = []any{v}
			}
			for _, element := range list {
				e, _ := json.Marshal(element)
				lines = append(lines, section+"."+name+" "+string(e))
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestWhatStaysMustFitToo(t *testing.T) {
	c := base(t)
	add(&c, "/etc/key", append([]byte("-----BEGIN PRIVATE KEY-----\n"), noise(60000)...))
	if _, err := Fit(c, Options{URL: "https://a.example/b"}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("error = %v", err)
	}
	c = base(t)
	add(&c, "/etc/noise", noise(60000))
	source := "https://a.example/other"
	c.Ignition.Config.Merge = []types.Resource{{Source: &source}}
	if _, err := Fit(c, Options{URL: "https://a.example/b"}); err == nil {
		t.Error("a configuration that fetches others is split")
	}
}
