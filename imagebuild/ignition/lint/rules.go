package lint

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/coreos/ignition/v2/config/v3_6/types"

	"slipway.build/slipway/imagebuild/ignition/luks"
	"slipway.build/slipway/imagebuild/ignition/report"
)

// redact leaves out what may be secret in a URL.
func redact(source string) string {
	u, err := url.Parse(source)
	if err != nil {
		return "a source"
	}
	if u.RawQuery != "" {
		u.RawQuery = "..."
	}
	return u.Redacted()
}

// verify checks contents, unpacked, as Ignition will.
func verify(b []byte, hash string) error {
	function, want, _ := strings.Cut(hash, "-")
	var got string
	switch function {
	case "sha256":
		h := sha256.Sum256(b)
		got = hex.EncodeToString(h[:])
	case "sha512":
		h := sha512.Sum512(b)
		got = hex.EncodeToString(h[:])
	default:
		return nil // Ignition's own parser has refused it
	}
	if got != want {
		return fmt.Errorf("the contents have the hash %s-%s, and not the one given: Ignition would refuse them", function, got)
	}
	return nil
}

// cipher wants cipher and key size among the options: what cryptsetup would choose may change.
func (l *linter) cipher(i int, v types.Luks) {
	var options []string
	for _, o := range v.Options {
		name, value, ok := strings.Cut(string(o), "=")
		options = append(options, name)
		if ok {
			options = append(options, value)
		}
	}
	for _, want := range [][]string{{"--cipher", "-c", luks.Cipher}, {"--key-size", "-s", luks.KeySize}} {
		at := slices.IndexFunc(options, func(o string) bool { return o == want[0] || o == want[1] })
		if at < 0 || at+1 >= len(options) || options[at+1] != want[2] {
			l.add(report.Warning, Cipher, []any{"storage", "luks", i, "options"}, "the volume %s does not say %s %s", v.Name, want[0], want[2])
		}
	}
	if v.KeyFile.Source != nil && strings.HasPrefix(*v.KeyFile.Source, "data:") {
		l.add(report.Warning, Secret, []any{"storage", "luks", i, "keyFile"}, "the key of the volume %s lies in the configuration, which pods can read; use clevis", v.Name)
	}
}
