package debian

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Architecture is how Debian and ELF call a platform.
type Architecture struct {
	// Name is Debian's: "amd64".
	Name string
	// Triplet is the directory of libraries beneath usr/lib.
	Triplet string
	// Machine is the one in ELF headers.
	Machine elf.Machine
}

// ArchitectureOf returns the architecture of a platform such as "linux/arm64".
func ArchitectureOf(platform string) (Architecture, error) {
	switch platform {
	case "linux/amd64":
		return Architecture{"amd64", "x86_64-linux-gnu", elf.EM_X86_64}, nil
	case "linux/arm64":
		return Architecture{"arm64", "aarch64-linux-gnu", elf.EM_AARCH64}, nil
	}
	return Architecture{}, fmt.Errorf("no Debian architecture for platform %q", platform)
}

// Taken is the files that were taken from a tree, by path. Symbolic links lead to files in it.
type Taken map[string]File

// Take takes the files that match the patterns, the files that links among them lead to, and every
// shared library and program interpreter that any of them needs. "*" in a pattern stands for the
// architecture's triplet where that is a directory. A pattern without a match is an error, and so
// is a library that no package has: the error says who needs it.
func (t *Tree) Take(a Architecture, patterns []string) (Taken, error) {
	taken := Taken{}
	for _, pattern := range patterns {
		names, err := t.Match(pattern)
		if err != nil {
			return nil, err
		}
		if len(names) == 0 {
			return nil, fmt.Errorf("no package has %s", pattern)
		}
		for _, name := range names {
			if err := t.take(taken, a, name, "the recipe"); err != nil {
				return nil, err
			}
		}
	}
	return taken, nil
}

func (t *Tree) take(taken Taken, a Architecture, name, who string) error {
	if _, done := taken[name]; done {
		return nil
	}
	at, f, err := t.Resolve(name)
	if err != nil {
		return fmt.Errorf("%s needs %w", who, err)
	}
	if at != name {
		link := t.files[name]
		if path.IsAbs(link.Target) || path.Join(path.Dir(name), link.Target) != at {
			link.Target = relative(name, at) // over several links at once, and never absolute
		}
		taken[name] = link
		return t.take(taken, a, at, who)
	}
	taken[name] = f
	needed, err := dependencies(f.Data, a)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, n := range needed {
		if err := t.take(taken, a, Merge(n), name); err != nil {
			return err
		}
	}
	return nil
}

// relative is the target of a link at the path from that leads to the path to.
func relative(from, to string) string {
	f, t := strings.Split(from, "/"), strings.Split(to, "/")
	f = f[:len(f)-1]
	for len(f) > 0 && len(t) > 1 && f[0] == t[0] {
		f, t = f[1:], t[1:]
	}
	return strings.Repeat("../", len(f)) + strings.Join(t, "/")
}

// dependencies returns where the interpreter and the needed libraries of an ELF file are in a tree;
// nothing for another kind of file.
func dependencies(data []byte, a Architecture) ([]string, error) {
	if !bytes.HasPrefix(data, []byte(elf.ELFMAG)) {
		return nil, nil
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("read the ELF file: %w", err)
	}
	if f.Machine != a.Machine {
		return nil, fmt.Errorf("built for %v, want %v", f.Machine, a.Machine)
	}
	var all []string
	for _, p := range f.Progs {
		if p.Type == elf.PT_DYNAMIC && f.SectionByType(elf.SHT_DYNAMIC) == nil {
			return nil, errors.New("it needs libraries, and its list of sections does not lead to their names")
		}
		if p.Type != elf.PT_INTERP {
			continue
		}
		if p.Filesz > maxPath {
			return nil, fmt.Errorf("its interpreter's name has %d bytes", p.Filesz)
		}
		b := make([]byte, p.Filesz)
		if _, err := p.ReadAt(b, 0); err != nil {
			return nil, fmt.Errorf("read the interpreter's name: %w", err)
		}
		all = append(all, strings.TrimRight(string(b), "\x00"))
	}
	libraries, err := f.ImportedLibraries()
	if err != nil {
		return nil, fmt.Errorf("read the dynamic section: %w", err)
	}
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		if where, err := f.DynString(tag); err == nil && len(where) > 0 {
			return nil, fmt.Errorf("it looks for libraries in %v, which is not followed", where)
		}
	}
	for _, l := range libraries {
		if !path.IsAbs(l) {
			l = "usr/lib/" + a.Triplet + "/" + l
		}
		all = append(all, l)
	}
	for i := range all {
		all[i] = strings.TrimPrefix(all[i], "/")
	}
	return all, nil
}

// Check refuses taken files that could not run: a library or interpreter that is not among them,
// a link that leads nowhere, another architecture.
func (taken Taken) Check(a Architecture) error {
	t := &Tree{files: taken}
	for _, name := range slices.Sorted(maps.Keys(taken)) {
		_, f, err := t.Resolve(name)
		if err != nil {
			return err
		}
		needed, err := dependencies(f.Data, a)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, n := range needed {
			if _, _, err := t.Resolve(n); err != nil {
				return fmt.Errorf("%s needs %w", name, err)
			}
		}
	}
	return nil
}
