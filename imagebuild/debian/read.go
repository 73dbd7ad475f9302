package debian

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// limits bound what a package unpacks to.
type limits struct {
	bytes   int64 // of the tar stream, and of all files together
	entries int
}

// common are the limits of a package; the largest that is used, glibc's, unpacks to 13 MB.
func common() limits { return limits{bytes: 256 << 20, entries: 50_000} }

// Entry is a directory, a regular file or a symbolic link of a package.
type Entry struct {
	// Path is relative and clean, such as "usr/sbin/bird", and that of a merged /usr: what a
	// package has in /bin, /sbin or /lib is in usr/ here.
	Path string
	// Mode is the permissions, the type, and a directory's sticky bit. The bits that give a file's
	// owner or group to who runs it are left out, whatever the package has.
	Mode fs.FileMode
	// Target is where a symbolic link leads.
	Target string
	// Data is a regular file's contents; hard links share it.
	Data []byte
}

// Read unpacks a package (a .deb file) in its own order. All of it is read, so that a package that
// is cut off or fails its compressor's checks is an error, wherever that is. So is a path or link
// that leads out of the root, an entry beneath a link or file, a path that is there twice, and
// anything but directories, regular files and links to them.
func Read(deb io.Reader) ([]Entry, error) { return read(deb, common()) }

func read(deb io.Reader, l limits) ([]Entry, error) {
	a, err := newArchive(deb)
	if err != nil {
		return nil, err
	}
	name, content, err := a.next()
	if err != nil || name != "debian-binary" {
		return nil, fmt.Errorf("not a Debian package: it begins with the member %q, not debian-binary", name)
	}
	form, err := io.ReadAll(io.LimitReader(content, 16))
	if err != nil || !strings.HasPrefix(string(form), "2.") {
		return nil, fmt.Errorf("the package's format is %q, and only 2.0 is known", strings.TrimSpace(string(form)))
	}
	for !strings.HasPrefix(name, "data.tar") {
		if name, content, err = a.next(); errors.Is(err, io.EOF) {
			return nil, errors.New("the package has no member data.tar")
		} else if err != nil {
			return nil, err
		}
	}
	all, err := readMember(name, content, l)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return all, a.skip()
}

func readMember(name string, content io.Reader, l limits) ([]Entry, error) {
	plain, release, err := decompress(name, content, l)
	if err != nil {
		return nil, err
	}
	defer release()
	stream := &bounded{r: plain, left: l.bytes, limit: l.bytes}
	u := unpacker{limits: l, seen: map[string]int{}, parents: map[string]string{}}
	tr := tar.NewReader(stream)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := u.add(h, tr); err != nil {
			return nil, err
		}
	}
	_, err = io.Copy(io.Discard, stream) // to the compressor's checksum
	return u.all, err
}
