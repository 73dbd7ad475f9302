package program

import (
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../../.."

func TestTheMakefileCompilesTheSamePrograms(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"NODE_TOOLCHAIN": Toolchain, "LDFLAGS": linkerFlags, "BUILD": "build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'"} {
		m := regexp.MustCompile(`(?m)^` + name + ` +:= (.*)$`).FindSubmatch(text)
		if m == nil || string(m[1]) != want {
			t.Errorf("%s is %q in the Makefile, and %q here", name, m, want)
		}
	}
}

func TestBothArchitecturesAreCompiledByTheSameToolchainWhateverTheEnvironment(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles")
	}
	for architecture, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		var sums [][32]byte
		environments := []string{"-tags=netgo", "-race"}
		if architecture == "arm64" {
			environments = environments[:1] // minutes each, cold
		}
		for _, flags := range environments {
			t.Setenv("GOFLAGS", flags)
			t.Setenv("GOARCH", "riscv64")
			p, err := Compile(t.Context(), Options{Source: root, Architecture: architecture, Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			var all []byte
			for _, file := range []string{p.Agent, p.Exec, p.ImportTool, p.Verifier} {
				info, err := buildinfo.ReadFile(file)
				if err != nil || info.GoVersion != Toolchain {
					t.Errorf("%s: %v, %v", file, info, err)
				}
				f, err := elf.Open(file)
				if err != nil || f.Machine != machine {
					t.Fatalf("%s: %v", file, err)
				}
				f.Close()
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, data...)
			}
			sums = append(sums, sha256.Sum256(all))
		}
		if sums[0] != sums[len(sums)-1] {
			t.Errorf("%s: two environments, two results", architecture)
		}
	}
}

func TestAProgramThatDoesNotCompileIsNamed(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "cmd", "slipway-agent"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"go.mod": "module a\n\ngo 1.26\n", "cmd/slipway-agent/main.go": "package main\nfunc main() { nothing() }\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Compile(t.Context(), Options{Source: dir, Architecture: "amd64", Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "slipway-exec") {
		t.Errorf("error = %v", err)
	}
}
