package lint

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// bootcKargs: bootc stops at a file that it cannot parse, and rpm-ostree reads none.
func bootcKargs(s *Subject, found func(Finding)) {
	s.each(func(l Layer, e Entry) {
		if !strings.HasPrefix(e.Path, "usr/lib/bootc/kargs.d/") || !e.File() {
			return
		}
		if path.Ext(e.Path) != ".toml" {
			found(at(l, e, Warning, "bootc reads files with the ending .toml only", "name it so"))
			return
		}
		if err := parseKargs(e); err != nil {
			found(at(l, e, Error, "bootc stops: "+err.Error(), `write kargs = ["a=b"] and, if it is not for all, match-architectures = ["x86_64"]`))
			return
		}
		found(at(l, e, Warning, "nodes that rpm-ostree updates do not read it", "set the arguments in the nodes' Ignition configuration, too (kernelArguments)"))
	})
}

func parseKargs(e Entry) error {
	if e.Data == nil && e.Size > 0 {
		return fmt.Errorf("it is larger than %d bytes, or a link to another file", maxData)
	}
	var file struct {
		Kargs []string `toml:"kargs"`
		Match []string `toml:"match-architectures"`
	}
	d := toml.NewDecoder(bytes.NewReader(e.Data)).DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return err
	}
	for _, k := range file.Kargs {
		if strings.ContainsAny(k, "\n\t") || strings.TrimSpace(k) == "" {
			return fmt.Errorf("argument %q", k)
		}
	}
	for _, m := range file.Match {
		if m != "x86_64" && m != "aarch64" && m != "s390x" && m != "ppc64le" && m != "riscv64" {
			return fmt.Errorf("match-architectures: %q is none that the kernel has a name for", m)
		}
	}
	return nil
}
