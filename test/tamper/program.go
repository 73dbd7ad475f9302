package main

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
)

// tinyProgram returns a program for Linux on amd64 of that size which makes the file that its
// first argument names, and ends. What follows the code is noise that is never read.
func tinyProgram(size int, random *rand.Rand) []byte {
	code := []byte{
		0x48, 0x8b, 0x7c, 0x24, 0x10, // mov rdi, [rsp+16]: the first argument
		0xb8, 2, 0, 0, 0, // mov eax, open
		0xbe, 0x41, 0, 0, 0, // mov esi, O_WRONLY|O_CREAT
		0xba, 0xa4, 1, 0, 0, // mov edx, 0644
		0x0f, 0x05, // syscall
		0x31, 0xff, // xor edi, edi
		0xb8, 60, 0, 0, 0, // mov eax, exit
		0x0f, 0x05, // syscall
	}
	const base, headers = 0x400000, 64 + 56
	var out bytes.Buffer
	out.Write([]byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	for _, v := range []any{
		uint16(2), uint16(62), uint32(1), // an executable for amd64, version 1
		uint64(base + headers), uint64(64), uint64(0), // entry, program headers, no sections
		uint32(0), uint16(64), uint16(56), uint16(1), uint16(0), uint16(0), uint16(0),
		uint32(1), uint32(5), uint64(0), uint64(base), uint64(base), // load, readable and executable
		uint64(headers + len(code)), uint64(headers + len(code)), uint64(0x1000),
	} {
		_ = binary.Write(&out, binary.LittleEndian, v) // a buffer takes everything
	}
	out.Write(code)
	for out.Len() < size {
		// Pairs repeat, so that compression finds matches as well as literals.
		b := byte(random.Uint32())
		out.Write([]byte{b, b & 0x0f, 'x', b & 0x0f})
	}
	return out.Bytes()
}
