package osimage

import (
	"debug/elf"
	"fmt"
	"io"
	"os"
	"strings"
)

// machines are the ELF names of the architectures that there are nodes of.
func machine(architecture string) (elf.Machine, error) {
	switch architecture {
	case "amd64":
		return elf.EM_X86_64, nil
	case "arm64":
		return elf.EM_AARCH64, nil
	}
	return 0, fmt.Errorf("architecture %q: there are layers for amd64 and arm64", architecture)
}

// program is a file that runs on the node: a static one for the node's architecture.
func program(to, from, architecture string) (entry, error) {
	e, err := fromDisk(to, from)
	if err != nil {
		return entry{}, fmt.Errorf("program for %s: %w", to, err)
	}
	if err := gate(from, architecture); err != nil {
		return entry{}, fmt.Errorf("program for %s: %s: %w", to, from, err)
	}
	e.mode = 0o755
	return e, nil
}

func gate(file, architecture string) error {
	want, err := machine(architecture)
	if err != nil {
		return err
	}
	f, err := elf.Open(file)
	if err != nil {
		return fmt.Errorf("no ELF program: %w", err)
	}
	defer f.Close()
	if f.Machine != want || f.Class != elf.ELFCLASS64 {
		return fmt.Errorf("it is for %v, the layer for %s", f.Machine, architecture)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("it is not static: it asks for a program interpreter")
		}
	}
	return nil
}

// fromDisk is a file of this machine, whose mode here does not count.
func fromDisk(to, from string) (entry, error) {
	st, err := os.Stat(from)
	if err != nil {
		return entry{}, err
	}
	if !st.Mode().IsRegular() || st.Size() == 0 {
		return entry{}, fmt.Errorf("%s is no file with contents", from)
	}
	return entry{path: strings.TrimPrefix(to, "/"), mode: 0o644, size: st.Size(),
		open: func() (io.ReadCloser, error) { return os.Open(from) }}, nil
}
