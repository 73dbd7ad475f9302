package component

import (
	"debug/buildinfo"
	"debug/elf"
	"fmt"
)

// gate checks that a binary is what its recipe promises before it is packed: a static ELF
// program for the platform, from the locked toolchain, the right package and the module
// content that go.sum names.
func gate(file string, in inputs, program Program) error {
	if err := gateELF(file); err != nil {
		return fmt.Errorf("%s: %w", program.Path, err)
	}
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%s: no Go build information: %w", program.Path, err)
	}
	differ := func(what, got, want string) error {
		return fmt.Errorf("%s: %s is %q, want %q", program.Path, what, got, want)
	}
	if info.GoVersion != in.Toolchain {
		return differ("toolchain", info.GoVersion, in.Toolchain)
	}
	if info.Path != program.Package {
		return differ("main package", info.Path, program.Package)
	}
	if info.Main.Path != in.Recipe.Module {
		return differ("main module", info.Main.Path, in.Recipe.Module)
	}
	if info.Main.Sum != "" { // our own module is built from its folder and has neither
		if info.Main.Version != in.Recipe.Version {
			return differ("version of the main module", info.Main.Version, in.Recipe.Version)
		}
		if info.Main.Sum != in.Module {
			return differ("sum of the main module", info.Main.Sum, in.Module)
		}
	}
	return nil
}

func gateELF(file string) error {
	f, err := elf.Open(file)
	if err != nil {
		return fmt.Errorf("not an ELF file: %w", err)
	}
	defer f.Close()
	if f.Machine != elf.EM_X86_64 || f.Class != elf.ELFCLASS64 {
		return fmt.Errorf("built for %v %v, want 64-bit %v", f.Class, f.Machine, elf.EM_X86_64)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("not static: it asks for a program interpreter")
		}
	}
	libs, err := f.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("read the dynamic section: %w", err)
	}
	if len(libs) > 0 {
		return fmt.Errorf("not static: it needs %v", libs)
	}
	return nil
}
