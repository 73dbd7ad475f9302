package lint

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
)

// architecture: an image of the wrong one is deployed by nobody; a program of the wrong one fails on the node.
func architecture(s *Subject, found func(Finding)) {
	want := ""
	if s.Image != nil {
		want = s.Image.Config.Architecture
		if want != "amd64" && want != "arm64" {
			found(of(Error, fmt.Sprintf("the image is for %q, of which there are no nodes", want), "derive from a base for amd64 or arm64"))
			return
		}
	}
	s.each(func(l Layer, e Entry) {
		got := machine(e.Head)
		if got == "" {
			return
		}
		if want == "" {
			want = got // all of a layer by itself are to agree
		}
		if got != want {
			found(at(l, e, Error, fmt.Sprintf("it is for %s and the image for %s: on the node it does not start", got, want), "build it for "+want))
		}
	})
}

// machine is the architecture of an ELF file, as Go names it; empty for what is none.
func machine(head []byte) string {
	if len(head) < 20 || string(head[:4]) != elf.ELFMAG {
		return ""
	}
	var order binary.ByteOrder = binary.LittleEndian
	if elf.Data(head[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	switch m := elf.Machine(order.Uint16(head[18:20])); m {
	case elf.EM_X86_64:
		return "amd64"
	case elf.EM_AARCH64:
		return "arm64"
	default:
		return m.String()
	}
}
