package stages

import (
	"archive/tar"
	"context"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"time"

	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/ci/report"
	"slipway.build/slipway/imagebuild/lock"
)

// gate looks at what lies in the images, as nodes will pull it. The builder has gates of its own
// before it packs; this one believes nothing of that.
func (c Config) gate() pipeline.Stage {
	return pipeline.Stage{
		Name: "gate", Title: "Look into every image: static programs of the sources that the lock names, and nothing else", Version: 1, Deadline: 30 * time.Minute,
		Inputs: []pipeline.Input{pipeline.Output("images", "built"), pipeline.Output("images", "layout")},
		Run: func(ctx context.Context, s *pipeline.Step) error {
			l, err := lock.Load(s.In("images", "built"))
			if err != nil {
				return err
			}
			programs, others := 0, 0
			err = members(ctx, l, s.In("images", "layout"), s.Scratch(), gateEntry, func(m member) error {
				ours, err := gateFile(m, l.Toolchain)
				if err != nil {
					return fmt.Errorf("%s: %w", m.binary.Path, err)
				}
				if ours {
					programs++
				} else {
					others++
				}
				s.Progress("programs looked at", int64(programs), 0)
				return nil
			})
			if err != nil {
				return err
			}
			checks := []report.Check{{What: "programs in images are static, of the locked toolchain and of the modules and sums in the lock", Detail: fmt.Sprint(programs)}}
			if others > 0 {
				checks = append(checks, report.Check{What: "other files, in images with a system beneath, are those of the lock", Detail: fmt.Sprint(others)})
			}
			return s.Fact(report.ChecksFact, checks)
		},
	}
}

// gateEntry refuses what no image of ours has: files that set a user, that others than root own or
// may change, devices; and anything but files and directories where no system is beneath.
func gateEntry(img *lock.Image, h *tar.Header) error {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeDir:
	case tar.TypeSymlink:
		if img.System == "" {
			return fmt.Errorf("%s is a link, in an image without a system beneath", h.Name)
		}
		return nil
	default:
		return fmt.Errorf("%s is neither a file, nor a directory, nor a link", h.Name)
	}
	sticky := h.Typeflag == tar.TypeDir && h.Mode&0o1000 != 0
	if h.Mode&0o6000 != 0 || h.Mode&0o022 != 0 && !sticky {
		return fmt.Errorf("%s has mode %04o: it sets a user or group, or others may change it", h.Name, h.Mode)
	}
	if h.Uid != 0 || h.Gid != 0 {
		return fmt.Errorf("%s belongs to %d:%d, not to root", h.Name, h.Uid, h.Gid)
	}
	return nil
}

// gateFile checks a program of ours, and reports false for a file that is none, which only an image
// with a system beneath may have.
func gateFile(m member, toolchain string) (bool, error) {
	info, err := buildinfo.ReadFile(m.path)
	if err != nil {
		if m.image.System != "" {
			return false, nil
		}
		return false, fmt.Errorf("no Go build information: %w", err)
	}
	if m.header.Mode&0o111 != 0o111 {
		return true, fmt.Errorf("mode %04o: not everybody may execute it", m.header.Mode)
	}
	if err := static(m.path, m.platform.Platform); err != nil {
		return true, err
	}
	for _, c := range []struct{ what, got, want string }{
		{"toolchain", info.GoVersion, toolchain},
		{"main module", info.Main.Path, m.image.Source.Module},
	} {
		if c.got != c.want {
			return true, fmt.Errorf("%s is %q, want %q", c.what, c.got, c.want)
		}
	}
	if info.Main.Sum == "" { // a module of ours, which is built from its folder
		return true, nil
	}
	if info.Main.Sum != m.image.Source.Sum || info.Main.Version != m.image.Source.Version {
		return true, fmt.Errorf("built from %s %s, want %s %s", info.Main.Version, info.Main.Sum, m.image.Source.Version, m.image.Source.Sum)
	}
	return true, nil
}

// static refuses programs that need anything of a system, and those for another machine.
func static(path, platform string) error {
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("not an ELF file: %w", err)
	}
	defer f.Close()
	want := map[string]elf.Machine{"linux/amd64": elf.EM_X86_64, "linux/arm64": elf.EM_AARCH64}[platform]
	if f.Machine != want || f.Class != elf.ELFCLASS64 {
		return fmt.Errorf("built for %v %v, want 64-bit %v", f.Class, f.Machine, want)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("not static: it asks for a program interpreter")
		}
		if p.Flags&(elf.PF_W|elf.PF_X) == elf.PF_W|elf.PF_X && p.Type == elf.PT_LOAD {
			return errors.New("a part of it can be written and executed")
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
