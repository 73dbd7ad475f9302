package tracer

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// process is the one that waits in a call, read through /proc and its memory.
type process struct{ thread, leader int }

// processOf finds the process of a thread.
func processOf(thread int) (process, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", thread))
	if err != nil {
		return process{}, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "Tgid:"); ok {
			leader, err := strconv.Atoi(strings.TrimSpace(rest))
			return process{thread, leader}, err
		}
	}
	return process{}, fmt.Errorf("thread %d has no process", thread)
}

// fd returns what a descriptor is open on: a path as the program's mount name space has it, or
// something like "socket:[…]".
func (p process) fd(fd int) string {
	name, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", p.leader, fd))
	if err != nil {
		return ""
	}
	return name
}

// offset returns where the next write to a descriptor goes.
func (p process) offset(fd int) int64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", p.leader, fd))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "pos:"); ok {
			pos, _ := strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
			return pos
		}
	}
	return 0
}

// path resolves a name relative to a directory's descriptor.
func (p process) path(dirfd int, name uint64) string {
	text := p.text(name)
	if strings.HasPrefix(text, "/") {
		return path.Clean(text)
	}
	base := ""
	if dirfd == unix.AT_FDCWD {
		base, _ = os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.leader))
	} else {
		base = p.fd(dirfd)
	}
	return path.Join(base, text)
}

// text reads a string that ends with a zero byte.
func (p process) text(address uint64) string {
	const page = 4096
	var out []byte
	for len(out) < unix.PathMax {
		piece, err := p.bytes(address, page-int(address%page))
		if err != nil {
			return string(out)
		}
		if end := bytes.IndexByte(piece, 0); end >= 0 {
			return string(append(out, piece[:end]...))
		}
		out = append(out, piece...)
		address += uint64(len(piece))
	}
	return string(out)
}

// bytes reads the program's memory.
func (p process) bytes(address uint64, length int) ([]byte, error) {
	if length == 0 {
		return nil, nil
	}
	out := make([]byte, length)
	for done := 0; done < length; {
		local := []unix.Iovec{{Base: &out[done]}}
		local[0].SetLen(length - done)
		remote := []unix.RemoteIovec{{Base: uintptr(address) + uintptr(done), Len: length - done}}
		n, err := unix.ProcessVMReadv(p.leader, local, remote, 0)
		if err != nil {
			return nil, fmt.Errorf("read the memory of process %d: %w", p.leader, err)
		}
		done += n
	}
	return out, nil
}

// message reads the bytes of a struct msghdr's vectors (recvmsg(2)).
func (p process) message(address uint64) ([]byte, error) {
	const offVector, offCount, vectorSize = 16, 24, 16
	header, err := p.bytes(address, offCount+8)
	if err != nil {
		return nil, err
	}
	vector := binary.LittleEndian.Uint64(header[offVector:])
	count := binary.LittleEndian.Uint64(header[offCount:])
	var out []byte
	for i := range min(count, 8) {
		raw, err := p.bytes(vector+i*vectorSize, vectorSize)
		if err != nil {
			return nil, err
		}
		piece, err := p.bytes(binary.LittleEndian.Uint64(raw), int(binary.LittleEndian.Uint64(raw[8:])))
		if err != nil {
			return nil, err
		}
		out = append(out, piece...)
	}
	return out, nil
}
