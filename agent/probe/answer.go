package probe

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Bounds of an answer. Health endpoints say a line or two; what is longer is cut off, and its
// connection is given up.
const (
	maxHead = 16 << 10
	maxBody = 4 << 10
)

// answer is what of an HTTP answer decides about health.
type answer struct {
	code   int
	status string // code and reason phrase
	body   string // its beginning
	whole  bool   // all of it was read and the connection can be used again
}

// readAnswer reads an answer to a GET in HTTP/1.1 (RFC 9112): status line, fields, and a body by
// length, in chunks, or until the connection ends. It is written for the supervisors that live
// beside every component, where net/http would be the largest part of the process.
func readAnswer(r *bufio.Reader) (answer, error) {
	left := maxHead
	for {
		a, length, chunked, err := readHead(r, &left)
		if err != nil {
			return answer{}, err
		}
		if a.code >= 100 && a.code < 200 {
			continue // an interim answer; the final one follows
		}
		switch {
		case a.code == 204 || a.code == 304:
			return a, nil
		case chunked:
			err = a.readChunks(r, &left)
		case length >= 0:
			err = a.readBody(r, length)
		default:
			a.whole = false
			err = a.readBody(r, maxBody)
			if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
				err = nil // the end of the connection is the end of the body
			}
		}
		return a, err
	}
}

// readHead reads the status line and the fields. length is -1 when it is not given.
func readHead(r *bufio.Reader, left *int) (a answer, length int64, chunked bool, err error) {
	line, err := readLine(r, left)
	if err != nil {
		return a, 0, false, err
	}
	version, status, _ := strings.Cut(line, " ")
	digits, _, _ := strings.Cut(status, " ")
	code, err := strconv.Atoi(digits)
	if !strings.HasPrefix(version, "HTTP/1.") || err != nil || len(digits) != 3 || code < 100 {
		return a, 0, false, fmt.Errorf("the answer is no HTTP: %q", clip(line))
	}
	a = answer{code: code, status: status, whole: version != "HTTP/1.0"}
	length = -1
	for {
		line, err := readLine(r, left)
		if err != nil {
			return a, 0, false, err
		}
		if line == "" {
			return a, length, chunked, nil
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return a, 0, false, fmt.Errorf("the answer has a field without a name: %q", clip(line))
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "content-length":
			if length, err = strconv.ParseInt(value, 10, 64); err != nil || length < 0 {
				return a, 0, false, fmt.Errorf("the answer's length is %q", clip(value))
			}
		case "transfer-encoding":
			if !strings.EqualFold(value, "chunked") {
				return a, 0, false, fmt.Errorf("the answer is encoded as %q", clip(value))
			}
			chunked = true
		case "connection":
			if strings.EqualFold(value, "close") {
				a.whole = false
			}
		}
	}
}

// readBody adds up to length bytes to the body, and as many as fit.
func (a *answer) readBody(r *bufio.Reader, length int64) error {
	n := min(length, int64(maxBody-len(a.body)))
	if n < length {
		a.whole = false
	}
	part := make([]byte, n)
	read, err := io.ReadFull(r, part)
	a.body += string(part[:read])
	return err
}

func (a *answer) readChunks(r *bufio.Reader, left *int) error {
	for {
		line, err := readLine(r, left)
		if err != nil {
			return err
		}
		digits, _, _ := strings.Cut(line, ";") // what follows are extensions
		length, err := strconv.ParseInt(strings.TrimSpace(digits), 16, 64)
		if err != nil || length < 0 {
			return fmt.Errorf("the answer has a piece of the length %q", clip(line))
		}
		if length == 0 {
			break
		}
		if err := a.readBody(r, length); err != nil || !a.whole {
			return err
		}
		if line, err = readLine(r, left); err != nil || line != "" {
			return fmt.Errorf("the answer's piece does not end where it should: %w", errors.Join(err, errors.New(clip(line))))
		}
	}
	for { // trailers
		line, err := readLine(r, left)
		if err != nil || line == "" {
			return err
		}
	}
}

// readLine reads a line without its end, and takes it from what is left for all of them.
func readLine(r *bufio.Reader, left *int) (string, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, io.EOF) && len(line) > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return "", err
	}
	if *left -= len(line); *left < 0 {
		return "", fmt.Errorf("the answer's head is longer than %d bytes", maxHead)
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

// clip bounds what an error shows of a foreign text.
func clip(text string) string {
	const shown = 80
	if len(text) > shown {
		return text[:shown] + "…"
	}
	return text
}
