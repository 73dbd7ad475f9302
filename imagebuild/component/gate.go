package component

import (
	"debug/buildinfo"
	"debug/elf"
	"fmt"
)

// gate checks that a binary is what its recipe promises: a static ELF program for the platform,
// from the locked toolchain, the right package and the module content that go.sum names.
func gate(file string, in inputs, program Program) error {
	if err := gateELF(file, in.Platform); err != nil {
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
	if in.Tree != "" { // the module itself is built from its folder, and has neither version nor sum
		return nil
	}
	if want := in.Recipe.moduleVersion(); info.Main.Version != want {
		return differ("version of the main module", info.Main.Version, want)
	}
	if info.Main.Sum != in.Module {
		return differ("sum of the main module", info.Main.Sum, in.Module)
	}
	return nil
}

// machines are the ELF machines of the platforms.
func machines() map[string]elf.Machine {
	return map[string]elf.Machine{"linux/amd64": elf.EM_X86_64, "linux/arm64": elf.EM_AARCH64}
}

func gateELF(file, platform string) error {
	f, err := elf.Open(file)
	if err != nil {
		return fmt.Errorf("not an ELF file: %w", err)
	}
	defer f.Close()
	if want := machines()[platform]; f.Machine != want || f.Class != elf.ELFCLASS64 {
		return fmt.Errorf("built for %v %v, want 64-bit %v for %s", f.Class, f.Machine, want, platform)
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
