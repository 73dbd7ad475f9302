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

// member calls found with the contents of the first member whose name begins with prefix. Nothing
// after it is read.
func member(r io.Reader, prefix string, found func(name string, r io.Reader) error) error {
	b := bufio.NewReader(r)
	magic := make([]byte, len(arMagic))
	if _, err := io.ReadFull(b, magic); err != nil || string(magic) != arMagic {
		return errors.New("not a Debian package: no ar archive")
	}
	for {
		header := make([]byte, arHeader)
		if _, err := io.ReadFull(b, header); err != nil {
			if errors.Is(err, io.EOF) {
				return fmt.Errorf("the package has no member %s", prefix)
			}
			return fmt.Errorf("read the package's archive: %w", err)
		}
		name := strings.TrimSuffix(strings.TrimRight(string(header[:16]), " "), "/")
		size, err := strconv.ParseInt(strings.TrimRight(string(header[48:58]), " "), 10, 64)
		if err != nil || size < 0 || string(header[58:]) != "`\n" {
			return fmt.Errorf("the package's archive is damaged at member %q", name)
		}
		content := io.LimitReader(b, size)
		if strings.HasPrefix(name, prefix) {
			return found(name, content)
		}
		if _, err := io.CopyN(io.Discard, b, size+size%2); err != nil { // members begin at even offsets
			return fmt.Errorf("read the package's archive: %w", err)
		}
	}
}
