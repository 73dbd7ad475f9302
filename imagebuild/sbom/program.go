package sbom

import (
	"bytes"
	"cmp"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"slipway.build/slipway/imagebuild/lock"
)

// Program is what the Go toolchain wrote into a program that it linked.
type Program struct {
	Package   string // import path of the main package
	Toolchain string // "go1.26.7"
	Main      Module
	Deps      []Module // sorted by path, then by version
}

// Module is one Go module that a program was linked from.
type Module struct {
	Path    string
	Version string // "v1.36.3"; empty where the program does not say
	Sum     string // "h1:…", as in go.sum; empty for a module that was built from a folder
	// Replaces is the module that this one stands in for, as "path@version"; empty mostly. A
	// module that is replaced by a folder stands in for itself, and has no sum.
	Replaces string
}

// readProgram returns nil for a file that has no Go build information. Source is where the lock
// says that the main module comes from: a module that was built from its own folder does not
// know its version and sum.
func readProgram(r io.ReaderAt, source *lock.Source) (*Program, error) {
	magic := make([]byte, 4)
	if _, err := r.ReadAt(magic, 0); err != nil || !bytes.Equal(magic, []byte("\x7fELF")) {
		return nil, nil // too short to be a program
	}
	info, err := buildinfo.Read(r)
	if err != nil {
		return nil, nil // a program of another language
	}
	p := &Program{Package: info.Path, Toolchain: info.GoVersion, Main: module(&info.Main)}
	if p.Main.Path == "" {
		return nil, fmt.Errorf("its Go build information names no main module; build it in module mode")
	}
	if p.Main.Path == source.Module && p.Main.Sum == "" {
		p.Main.Version, p.Main.Sum = source.Version, source.Sum
	}
	for _, d := range info.Deps {
		p.Deps = append(p.Deps, module(d))
	}
	p.Deps = sortModules(p.Deps)
	return p, nil
}

func module(m *debug.Module) Module {
	out := Module{Path: m.Path, Version: m.Version, Sum: m.Sum}
	switch {
	case m.Replace == nil:
	case modfile.IsDirectoryPath(m.Replace.Path): // a folder's name says nothing to others
		out.Sum, out.Replaces = "", m.Path+"@"+m.Version
	default:
		out = Module{Path: m.Replace.Path, Version: m.Replace.Version, Sum: m.Replace.Sum, Replaces: m.Path + "@" + m.Version}
	}
	if out.Version == "(devel)" {
		out.Version = ""
	}
	return out
}

func sortModules(all []Module) []Module {
	slices.SortFunc(all, func(a, b Module) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Version, b.Version),
			strings.Compare(a.Sum, b.Sum), strings.Compare(a.Replaces, b.Replaces))
	})
	return slices.Compact(all)
}

// SHA256 returns the sum in hex, or "" if there is none. It is the sha256 over the list of the
// module's files with their sums (golang.org/x/mod/sumdb/dirhash), not over an archive.
func (m Module) SHA256() string {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:"))
	if err != nil || len(raw) != 32 {
		return ""
	}
	return hex.EncodeToString(raw)
}
