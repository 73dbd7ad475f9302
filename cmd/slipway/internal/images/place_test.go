package images

import (
	"path/filepath"
	"testing"
)

func TestPlacesAreToldApart(t *testing.T) {
	there := filepath.Join(t.TempDir(), "registry.example.org")
	for text, path := range map[string]string{
		"images.oci":                         "images.oci",
		"out/images.oci":                     "out/images.oci",
		"./registry.example.org/a":           "./registry.example.org/a",
		there:                                there,
		"oci:127.0.0.1:5000":                 "127.0.0.1:5000",
		"oci-archive:site.tar":               "site.tar",
		"127.0.0.1:5000":                     "",
		"127.0.0.1:5000/a":                   "",
		"registry.example.org/slipway":       "",
		"localhost/slipway":                  "",
		"docker://registry.example.org":      "",
		"http://localhost:5000":              "",
		"https://registry.example.org/cloud": "",
	} {
		p, err := ParsePlace(text)
		if err != nil || p.Path != path || (p.Registry == nil) != (path != "") {
			t.Errorf("%s: %+v (%v)", text, p, err)
		}
	}
}
