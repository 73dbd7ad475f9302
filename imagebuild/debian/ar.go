package debian

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// arMagic begins every ar archive; deb(5) says which members follow.
const arMagic = "!<arch>\n"

// arHeader is the size of a member's header: name 16, time 12, owner 6, group 6, mode 8, size 10,
// and two bytes that end it.
const arHeader = 60

// archive reads an ar archive from its beginning to its end.
type archive struct {
	r       *bufio.Reader
	content io.LimitedReader // what is left of the member
	odd     bool             // whether a byte follows it, for members begin at even offsets
}

func newArchive(r io.Reader) (*archive, error) {
	b := bufio.NewReader(r)
	magic := make([]byte, len(arMagic))
	if _, err := io.ReadFull(b, magic); err != nil || string(magic) != arMagic {
		return nil, errors.New("not a Debian package: no ar archive")
	}
	return &archive{r: b, content: io.LimitedReader{R: b}}, nil
}

// next returns the next member's name and contents, whether the one before was read or not, and
// io.EOF after the last one.
func (a *archive) next() (string, io.Reader, error) {
	if err := a.skip(); err != nil {
		return "", nil, err
	}
	header := make([]byte, arHeader)
	if _, err := io.ReadFull(a.r, header); errors.Is(err, io.EOF) {
		return "", nil, io.EOF
	} else if err != nil {
		return "", nil, fmt.Errorf("read the package's archive: %w", err)
	}
	name := strings.TrimSuffix(strings.TrimRight(string(header[:16]), " "), "/")
	size, err := strconv.ParseUint(strings.TrimRight(string(header[48:58]), " "), 10, 62)
	if err != nil || string(header[58:]) != "`\n" {
		return "", nil, fmt.Errorf("the package's archive is damaged at member %q", name)
	}
	a.content.N, a.odd = int64(size), size%2 == 1
	return name, &a.content, nil
}

// skip reads what is left of the member. A member that ends before its size is an error.
func (a *archive) skip() error {
	if _, err := io.Copy(io.Discard, &a.content); err != nil {
		return fmt.Errorf("read the package's archive: %w", err)
	}
	if a.content.N > 0 {
		return fmt.Errorf("the package is cut off: %d bytes are missing: %w", a.content.N, io.ErrUnexpectedEOF)
	}
	if a.odd {
		a.odd = false
		if _, err := a.r.Discard(1); err != nil && !errors.Is(err, io.EOF) { // the last one may go without
			return fmt.Errorf("read the package's archive: %w", err)
		}
	}
	return nil
}
