package lint

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"slipway.build/slipway/imagebuild/ignition"
)

func data(s string) string { return "data:;base64," + base64.StdEncoding.EncodeToString([]byte(s)) }

func file(path, contents string) string {
	return fmt.Sprintf(`{"ignition":{"version":"3.6.0"},"storage":{"files":[{"path":%q,"contents":{"source":%q}}]}}`, path, data(contents))
}

// sha256 of "x".
const hashOfX = "sha256-2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"

func TestWhatIsFoundIsNamedWithItsRule(t *testing.T) {
	agent := "controlPlane: https://a\nca: |\n  -----BEGIN CERTIFICATE-----\nnode: x\ntoken: "
	const fetch = `{"ignition":{"version":"3.6.0","config":{"merge":[{"source":"https://a.example/b?token=opensesame"}]}}}`
	for name, c := range map[string]struct {
		text string
		want []string // rules, with parts of their messages
	}{
		"nothing":                              {`{"ignition":{"version":"3.6.0"}}`, nil},
		"a source without a hash":              {fetch, []string{"pinned: https://a.example/b?... is fetched without a hash"}},
		"a source with one":                    {strings.Replace(fetch, `sesame"`, `sesame","verification":{"hash":"`+hashOfX+`"}`, 1), nil},
		"such a source in a configuration":     {`{"ignition":{"version":"3.3.0","config":{"replace":{"source":"` + data(fetch) + `"}}}}`, []string{"pinned: in the configuration there: https://a.example"}},
		"an unknown key in a configuration":    {`{"ignition":{"version":"3.3.0","config":{"merge":[{"source":"` + data(`{"ignition":{"version":"3.0.0"},"x":1}`) + `"}]}}}`, []string{"ignition: in the configuration there: unused key x"}},
		"an object without a hash":             {`{"ignition":{"version":"3.6.0"},"storage":{"files":[{"path":"/a","contents":{"source":"s3://bucket/key"}}]}}`, []string{"pinned:"}},
		"contents of another hash":             {`{"ignition":{"version":"3.6.0"},"storage":{"files":[{"path":"/a","contents":{"source":"data:,y","verification":{"hash":"` + hashOfX + `"}}}]}}`, []string{"contents: the contents have the hash sha256-a1fce4363854ff888cff4b8e7875d600c2682390412a8cf79b37d0b11148b0fa"}},
		"contents that are not packed":         {`{"ignition":{"version":"3.6.0"},"storage":{"files":[{"path":"/a","contents":{"source":"data:,y","compression":"gzip"}}]}}`, []string{"contents: data URL"}},
		"a volume without a cipher":            {`{"ignition":{"version":"3.6.0"},"storage":{"luks":[{"name":"a","device":"/dev/a","clevis":{"tpm2":true}}]}}`, []string{"luks-cipher: the volume a does not say --cipher", "luks-cipher: the volume a does not say --key-size"}},
		"a volume of short keys":               {`{"ignition":{"version":"3.6.0"},"storage":{"luks":[{"name":"a","device":"/dev/a","options":["--cipher=aes-xts-plain64","-s","256"]}]}}`, []string{"luks-cipher: the volume a does not say --key-size 512"}},
		"a volume as it should be":             {`{"ignition":{"version":"3.6.0"},"storage":{"luks":[{"name":"a","device":"/dev/a","options":["-c","aes-xts-plain64","--key-size=512"]}]}}`, nil},
		"a volume's key":                       {`{"ignition":{"version":"3.6.0"},"storage":{"luks":[{"name":"a","device":"/dev/a","keyFile":{"source":"data:,x"},"options":["-c","aes-xts-plain64","--key-size=512"]}]}}`, []string{"secret: the key of the volume a"}},
		"the join token":                       {file("/etc/slipway/agent.yaml", agent+"a1b2c3d4e5f6a7b8"), nil},
		"another token beside it":              {file("/etc/slipway/agent.yaml", agent+"a1b2c3d4e5f6a7b8\npassword: opensesame"), []string{"secret: /etc/slipway/agent.yaml has what looks like a token or password"}},
		"the join token elsewhere":             {file("/etc/other.yaml", agent+"a1b2c3d4e5f6a7b8"), []string{"secret: /etc/other.yaml"}},
		"a private key":                        {file("/a", "-----BEGIN EC PRIVATE KEY-----\nAA==\n-----END EC PRIVATE KEY-----\n"), []string{"secret: /a has what looks like a private key"}},
		"a public key":                         {file("/a", "-----BEGIN PUBLIC KEY-----\nAA==\n"), nil},
		"a bootstrap token":                    {file("/a", "kubeadm join --token abcdef.0123456789abcdef"), []string{"secret: /a has what looks like a bootstrap token"}},
		"an access key":                        {file("/a", "id AKIAIOSFODNN7EXAMPLE"), []string{"secret: /a has what looks like an access key"}},
		"a web token":                          {file("/a", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"), []string{"secret: /a has what looks like a JSON web token"}},
		"a password in a variable":             {file("/a", "OS_PASSWORD=correcthorse\n"), []string{"secret: /a"}},
		"the name of a file with a token":      {file("/a", "tokenFile: /run/token\npassword: ${PASSWORD}\n"), nil},
		"an authorization":                     {`{"ignition":{"version":"3.6.0","config":{"merge":[{"source":"https://a.example/b","httpHeaders":[{"name":"Authorization","value":"Bearer 0123456789abcdef0123"}],"verification":{"hash":"` + hashOfX + `"}}]}}}`, []string{"secret: the header Authorization"}},
		"a unit":                               {`{"ignition":{"version":"3.6.0"},"systemd":{"units":[{"name":"a.service","contents":"[Service]\nEnvironment=API_KEY=abcdefghij\n"}]}}`, []string{"secret: a.service"}},
		"a unit's drop-in":                     {`{"ignition":{"version":"3.6.0"},"systemd":{"units":[{"name":"a.service","dropins":[{"name":"b.conf","contents":"[Service]\nEnvironment=DB_PASSWORD=abcdefghij\n"}]}]}}`, []string{"secret: a.service/b.conf"}},
		"a kernel argument":                    {`{"ignition":{"version":"3.6.0"},"kernelArguments":{"shouldExist":["x.password=opensesame"]}}`, []string{"secret: a kernel argument"}},
		"what is larger than Nova takes":       {file("/a", strings.Repeat("x", ignition.MaxSize)), []string{"size: "}},
		"nothing of a configuration that is 7": {`7`, []string{"ignition: "}},
	} {
		t.Run(name, func(t *testing.T) {
			entries := Validate("x.ign", []byte(c.text), 0)
			if len(entries) != len(c.want) {
				t.Fatalf("%d entries, want %d: %v", len(entries), len(c.want), entries)
			}
			for i, e := range entries {
				if got := e.Rule + ": " + e.Message; !strings.HasPrefix(got, c.want[i]) {
					t.Errorf("entry %q, want %q", got, c.want[i])
				}
				if e.Line < 1 || e.Column < 1 || e.File != "x.ign" {
					t.Errorf("no position: %+v", e)
				}
				for _, secret := range []string{"opensesame", "correcthorse", "AKIAIOS", "dozjg", "abcdefghij", "AA==", "0123456789abcdef"} {
					if strings.Contains(e.String(), secret) {
						t.Errorf("the message shows the secret: %s", e)
					}
				}
			}
		})
	}
}

func TestPositionsAreThoseOfTheField(t *testing.T) {
	text := "{\"ignition\": {\"version\": \"3.6.0\"},\n \"storage\": {\"files\": [\n  {\"path\": \"/a\",\n   \"contents\": {\"source\": \"http://a.example/b\"}}]}}"
	entries := Validate("x.ign", []byte(text), 0)
	if err := entries.Err(false); err == nil || !strings.HasPrefix(err.Error(), "x.ign:4:27: error: http://a.example/b is fetched without a hash") || !strings.Contains(err.Error(), "($.storage.files.0.contents.source) [pinned]") {
		t.Errorf("error = %v", err)
	}
}

func TestConfigurationsInOneAnotherAreFollowedOnlySoFar(t *testing.T) {
	text := `{"ignition":{"version":"3.6.0"}}`
	for range maxDepth + 2 {
		text = `{"ignition":{"version":"3.6.0","config":{"merge":[{"source":"` + data(text) + `"}]}}}`
	}
	if err := Validate("x.ign", []byte(text), -1).Err(false); err == nil || !strings.Contains(err.Error(), "in one another") {
		t.Errorf("error = %v", err)
	}
}

func FuzzValidate(f *testing.F) {
	f.Add([]byte(file("/a", "token: abcdefgh")))
	f.Add([]byte(`{"ignition":{"version":"3.6.0","config":{"merge":[{"source":"data:,x"}]}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, e := range Validate("x.ign", text, 0) {
			if e.Line < 1 || e.Rule == "" || e.Message == "" {
				t.Errorf("%+v", e)
			}
		}
	})
}
