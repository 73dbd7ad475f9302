package debian

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"testing"
)

// object is an ELF file that a test writes: what it needs, and no code.
type object struct {
	machine elf.Machine // amd64's if 0
	interp  string
	needed  []string
	runpath string
	hidden  bool // no list of sections
}

// elfOf writes an object: its headers, the interpreter's name, the names of libraries, the dynamic
// section that refers to them, and the list of sections.
func elfOf(t testing.TB, o object) string {
	t.Helper()
	if o.machine == 0 {
		o.machine = elf.EM_X86_64
	}
	names := []byte{0}
	dynamic := []elf.Dyn64{}
	name := func(tag elf.DynTag, s string) {
		dynamic = append(dynamic, elf.Dyn64{Tag: int64(tag), Val: uint64(len(names))})
		names = append(append(names, s...), 0)
	}
	for _, n := range o.needed {
		name(elf.DT_NEEDED, n)
	}
	if o.runpath != "" {
		name(elf.DT_RUNPATH, o.runpath)
	}
	dynamic = append(dynamic, elf.Dyn64{})
	const header, program, section = 64, 56, 64
	interp := append([]byte(o.interp), 0)
	at := uint64(header + 2*program)
	namesAt := at + uint64(len(interp))
	dynamicAt := namesAt + uint64(len(names))
	size := uint64(len(dynamic) * 16)
	h := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_DYN), Machine: uint16(o.machine), Version: uint32(elf.EV_CURRENT),
		Ehsize: header, Phoff: header, Phentsize: program, Phnum: 2, Shentsize: section,
	}
	if !o.hidden {
		h.Shoff, h.Shnum, h.Shstrndx = dynamicAt+size, 3, 1
	}
	first := elf.Prog64{Type: uint32(elf.PT_INTERP), Off: at, Filesz: uint64(len(interp))}
	if o.interp == "" {
		first.Type = uint32(elf.PT_NULL)
	}
	var b bytes.Buffer
	for _, part := range []any{
		h, first, elf.Prog64{Type: uint32(elf.PT_DYNAMIC), Off: dynamicAt, Filesz: size},
		interp, names, dynamic,
		elf.Section64{},
		elf.Section64{Type: uint32(elf.SHT_STRTAB), Off: namesAt, Size: uint64(len(names))},
		elf.Section64{Type: uint32(elf.SHT_DYNAMIC), Off: dynamicAt, Size: size, Link: 1, Entsize: 16},
	} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}
