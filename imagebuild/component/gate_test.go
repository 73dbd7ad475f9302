package component

import (
	"os/exec"
	"strings"
	"testing"
)

func TestTheGateRefusesWhatTheRecipeDoesNotPromise(t *testing.T) {
	f := newFixture(t)
	b := f.build()
	in, err := readInputs(f.sources, f.recipe, HostPlatform())
	if err != nil {
		t.Fatal(err)
	}
	static := b.binary()
	if err := gate(static, in, f.recipe.Programs[0]); err != nil {
		t.Fatalf("a good binary: %v", err)
	}
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, file string
		change     func(*inputs, *Program)
		want       string
	}{
		{"a dynamic binary", shell, nil, "not static: it asks for a program interpreter"},
		{"a script", f.goTool, nil, "not an ELF file"},
		{"another toolchain", static, func(in *inputs, _ *Program) { in.Toolchain = "go1.26.6" }, `toolchain is "go1.26.7", want "go1.26.6"`},
		{"another platform", static, func(in *inputs, _ *Program) { in.Platform = "linux/s390x" }, "built for ELFCLASS64"},
		{"another package", static, func(_ *inputs, p *Program) { p.Package = "x/y" }, `main package is "slipway.build/hello", want "x/y"`},
		{"another module", static, func(in *inputs, _ *Program) { in.Recipe.Module = "x" }, `main module is "slipway.build/hello", want "x"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in, p := in, f.recipe.Programs[0]
			if tt.change != nil {
				tt.change(&in, &p)
			}
			if err := gate(tt.file, in, p); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestTheGateComparesTheModuleThatARequiredBinaryCameFrom(t *testing.T) {
	built, err := Build(t.Context(), Options{Sources: "sources", Cache: t.TempDir(), Names: []string{"cni"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		change func(*inputs)
		want   string
	}{
		"nothing":         {func(*inputs) {}, ""},
		"another version": {func(in *inputs) { in.Recipe.Version = "v1.9.0" }, "version of the main module"},
		"another sum":     {func(in *inputs) { in.Module = "h1:x" }, "sum of the main module"},
	} {
		in, err := readInputs("sources", cni(), HostPlatform())
		if err != nil {
			t.Fatal(err)
		}
		tt.change(&in)
		p := in.Recipe.Programs[0]
		err = gate(built[0].File(HostPlatform(), p.Path), in, p)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
