package config

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/coreos/ignition/v2/config/v3_6/types"
	"github.com/vincent-petithory/dataurl"
)

// maxContents bounds what contents of a data URL may unpack to, in bytes.
const maxContents = 64 << 20

// errNoData is what Contents' error wraps when a resource is somewhere else.
var errNoData = errors.New("not a data URL")

// Contents returns what the resource's data URL holds, unpacked if it is compressed.
func Contents(source, compression string) ([]byte, error) {
	if !strings.HasPrefix(source, "data:") {
		return nil, errNoData
	}
	u, err := dataurl.DecodeString(source)
	if err != nil {
		return nil, fmt.Errorf("data URL: %w", err)
	}
	switch compression {
	case "":
		return u.Data, nil
	case "gzip":
		r, err := gzip.NewReader(bytes.NewReader(u.Data))
		if err != nil {
			return nil, fmt.Errorf("data URL: %w", err)
		}
		b, err := io.ReadAll(io.LimitReader(r, maxContents+1))
		if err == nil && len(b) > maxContents {
			err = fmt.Errorf("more than %d bytes unpacked", maxContents)
		}
		if err != nil {
			return nil, fmt.Errorf("data URL: %w", err)
		}
		return b, nil
	}
	return nil, fmt.Errorf("compression %q is unknown", compression)
}

// Remote reports whether a source has to be fetched.
func Remote(source string) bool { return source != "" && !strings.HasPrefix(source, "data:") }

// Resource is something that a configuration refers to or holds.
type Resource struct {
	*types.Resource
	Path []any // of the field
	// Owner is what it is the contents of, such as a file's path; empty for parts of Ignition itself.
	Owner string
	// Config says that it is another configuration.
	Config bool
}

// Resources lists everything that the configuration refers to or holds.
func Resources(c *types.Config) []Resource {
	var all []Resource
	add := func(r *types.Resource, owner string, config bool, at ...any) {
		if r.Source != nil {
			all = append(all, Resource{r, at, owner, config})
		}
	}
	for i := range c.Ignition.Config.Merge {
		add(&c.Ignition.Config.Merge[i], "", true, "ignition", "config", "merge", i)
	}
	add(&c.Ignition.Config.Replace, "", true, "ignition", "config", "replace")
	for i := range c.Ignition.Security.TLS.CertificateAuthorities {
		add(&c.Ignition.Security.TLS.CertificateAuthorities[i], "", false, "ignition", "security", "tls", "certificateAuthorities", i)
	}
	for i := range c.Storage.Files {
		f := &c.Storage.Files[i]
		add(&f.Contents, f.Path, false, "storage", "files", i, "contents")
		for j := range f.Append {
			add(&f.Append[j], f.Path, false, "storage", "files", i, "append", j)
		}
	}
	for i := range c.Storage.Luks {
		add(&c.Storage.Luks[i].KeyFile, c.Storage.Luks[i].Name, false, "storage", "luks", i, "keyFile")
	}
	return all
}
