package testbase

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
)

// Program is the least that is a static 64-bit ELF program for a machine, with a text behind it. It does not run.
func Program(m elf.Machine, text string) []byte {
	h := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(m), Version: 1, Ehsize: 64}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, h); err != nil {
		panic(err) // a buffer takes everything
	}
	b.WriteString(text)
	return b.Bytes()
}
