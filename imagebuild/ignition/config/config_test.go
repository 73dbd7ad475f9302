package config

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/coreos/ignition/v2/config/v3_6/types"
)

func parse(t testing.TB, text string) types.Config {
	t.Helper()
	c, entries := Parse("x.ign", []byte(text))
	if err := entries.Err(false); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEveryEntryHasItsPlace(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"an unknown key":      {"{\"ignition\": {\"version\": \"3.6.0\"},\n  \"colour\": 1}", "x.ign:2:3: warning: unused key colour ($.colour) [ignition]"},
		"a relative path":     {"{\"ignition\": {\"version\": \"3.3.0\"},\n \"storage\": {\"files\": [\n  {\"path\": \"a\"}]}}", "x.ign:3:12: error: path not absolute ($.storage.files.0.path) [ignition]"},
		"an unknown version":  {"{\n \"ignition\": {\"version\": \"9.9.9\"}}", "x.ign:2:26: error: unsupported config version"},
		"a value of its type": {"{\"ignition\": {\"version\": \"3.6.0\"},\n \"storage\": 1}", "x.ign:2:14: error: json: cannot unmarshal number"},
		"no JSON":             {"{\n\n]", "x.ign:3:1: error: invalid character"},
		"nothing":             {"", "x.ign:1:1: error: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, entries := Parse("x.ign", []byte(c.text))
			if err := entries.Err(false); err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("error = %v\nwant   %s", err, c.want)
			}
		})
	}
}

func TestAnOlderVersionIsWrittenOnlyWhenNothingIsLost(t *testing.T) {
	for name, c := range map[string]struct {
		text, to, want string // want is a part of the error; empty: none
	}{
		"the same":                       {`{"ignition":{"version":"3.6.0"},"storage":{"files":[{"path":"/a","mode":1444}]}}`, "3.6.0", ""},
		"a file":                         {`{"ignition":{"version":"3.6.0"},"storage":{"files":[{"path":"/a","mode":420,"contents":{"source":"data:,x","compression":""}}]}}`, "3.0.0", ""},
		"a certificate authority":        {`{"ignition":{"version":"3.6.0","security":{"tls":{"certificateAuthorities":[{"source":"data:,x"}]}}}}`, "3.0.0", ""},
		"LUKS without anything new":      {`{"ignition":{"version":"3.6.0"},"storage":{"luks":[{"name":"a","device":"/dev/a","clevis":{"tpm2":true}}]}}`, "3.2.0", ""},
		"LUKS for one that has none":     {`{"ignition":{"version":"3.6.0"},"storage":{"luks":[{"name":"a","device":"/dev/a"}]}}`, "3.1.0", "unused key luks"},
		"LUKS with discard":              {`{"ignition":{"version":"3.6.0"},"storage":{"luks":[{"name":"a","device":"/dev/a","discard":true}]}}`, "3.3.0", "$.storage.luks.0.discard"},
		"special bits of a mode":         {`{"ignition":{"version":"3.6.0"},"storage":{"files":[{"path":"/a","mode":2541}]}}`, "3.5.0", "$.storage.files.0.mode"},
		"kernel arguments":               {`{"ignition":{"version":"3.6.0"},"kernelArguments":{"shouldExist":["a"]}}`, "3.3.0", ""},
		"kernel arguments for none such": {`{"ignition":{"version":"3.6.0"},"kernelArguments":{"shouldExist":["a"]}}`, "3.2.0", "kernelArguments"},
		"headers":                        {`{"ignition":{"version":"3.6.0","config":{"merge":[{"source":"https://a.example/b","httpHeaders":[{"name":"A","value":"b"}]}]}}}`, "3.0.0", "httpHeaders"},
		"a source of another scheme":     {`{"ignition":{"version":"3.6.0","config":{"merge":[{"source":"arn:aws:s3:::bucket/key"}]}}}`, "3.3.0", "$.ignition.config.merge.0: invalid url scheme"},
		"a clevis pin of one's own":      {`{"ignition":{"version":"3.6.0"},"storage":{"luks":[{"name":"a","device":"/dev/a","clevis":{"custom":{"pin":"mine","config":"x"}}}]}}`, "3.5.0", "pin"},
		"an unknown version":             {`{"ignition":{"version":"3.6.0"}}`, "2.2.0", "known are 3.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := parse(t, c.text)
			got, err := Convert(cfg, c.to)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error = %v, want %s", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(got), `"version":"`+c.to+`"`) {
				t.Errorf("%s", got)
			}
			if d, err := Difference(cfg, parse(t, string(got))); d != "" || err != nil {
				t.Errorf("%s differs, %v", d, err)
			}
		})
	}
}

func TestConfigurationsThatMeanTheSameAreTheSameBytes(t *testing.T) {
	same := []string{
		`{"ignition":{"version":"3.6.0"},"storage":{"files":[{"path":"/a","contents":{"source":"data:,x%0A"}}]}}`,
		`{"storage":{"files":[{"contents":{"compression":"","verification":{},"source":"data:;base64,eAo="},"path":"/a"}],"links":[]},"ignition":{"version":"3.3.0"}}`,
		`{"ignition":{"version":"3.0.0","config":{"replace":{}}},"storage":{"files":[{"path":"/a","contents":{"source":"data:text/plain;charset=utf-8,x%0A"}}]}}`,
	}
	first, err := Canonical(parse(t, same[0]))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range same[1:] {
		if got, err := Canonical(parse(t, text)); err != nil || string(got) != string(first) {
			t.Errorf("%s, %v\nwant %s", got, err, first)
		}
	}
	for _, text := range []string{
		`{"ignition":{"version":"3.6.0"},"storage":{"files":[{"path":"/a","contents":{"source":"data:,y%0A"}}]}}`,
		`{"ignition":{"version":"3.6.0"},"storage":{"files":[{"path":"/a","mode":0,"contents":{"source":"data:,x%0A"}}]}}`,
		`{"ignition":{"version":"3.6.0"},"storage":{"files":[{"path":"/a","contents":{"source":"data:,x%0A"}},{"path":"/b"}]}}`,
	} {
		if d, err := Difference(parse(t, same[0]), parse(t, text)); d == "" || err != nil {
			t.Errorf("%s is the same, %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"ignition":{"version":"3.6.0"},"storage":{"files":[{"path":"/a","contents":{"compression":"gzip","source":"data:;base64,` + base64.StdEncoding.EncodeToString([]byte("x")) + `"}}]}}`))
	f.Add([]byte(`{"ignition":{"version":"3.0.0"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, entries := Parse("x.ign", data)
		if entries.Err(true) != nil {
			return
		}
		b, err := Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again, entries := Parse("x.ign", b)
		if err := entries.Err(true); err != nil {
			t.Errorf("what was written is not read: %v\n%s", err, b)
		}
		x, err := Canonical(c)
		if err != nil {
			return
		}
		if y, err := Canonical(again); err != nil || string(x) != string(y) {
			t.Errorf("%s\n%s, %v", x, y, err)
		}
	})
}
