package probe

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestAnswersAreReadAsTheyAreFramed(t *testing.T) {
	long := strings.Repeat("x", maxBody+1)
	for name, test := range map[string]struct {
		text  string
		code  int
		body  string
		whole bool
	}{
		"by length":          {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", true},
		"empty":              {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", true},
		"without a phrase":   {"HTTP/1.1 503\r\nContent-Length: 0\r\n\r\n", 503, "", true},
		"in chunks":          {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3;a=b\r\nay!\r\n0\r\n\r\n", 200, "okay!", true},
		"with trailers":      {"HTTP/1.1 200 OK\r\ntransfer-encoding:chunked\r\n\r\n0\r\nA: b\r\n\r\n", 200, "", true},
		"until the end":      {"HTTP/1.1 200 OK\r\n\r\nok", 200, "ok", false},
		"told to close":      {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 200, "ok", false},
		"of the old kind":    {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", false},
		"after an interim":   {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204, "", true},
		"with bare newlines": {"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, "ok", true},
		"longer than useful": {"HTTP/1.1 500 No\r\nContent-Length: 999999999\r\n\r\n" + long, 500, long[:maxBody], false},
		"in endless chunks":  {"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFF\r\n" + long, 500, long[:maxBody], false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readAnswer(bufio.NewReaderSize(strings.NewReader(test.text), 2<<10))
			if err != nil {
				t.Fatal(err)
			}
			if got.code != test.code || got.body != test.body || got.whole != test.whole {
				t.Errorf("read %d %q whole %t, want %d %q whole %t", got.code, got.body, got.whole, test.code, test.body, test.whole)
			}
		})
	}
}

func TestWhatIsNoAnswerIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":              "",
		"cut in the head":      "HTTP/1.1 200 OK\r\nContent-",
		"cut in the body":      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok",
		"another protocol":     "SSH-2.0-OpenSSH\r\n",
		"another version":      "HTTP/2 200\r\n\r\n",
		"a code of words":      "HTTP/1.1 fine\r\n\r\n",
		"a negative length":    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"an unknown coding":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"a nameless field":     "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
		"a chunk of letters":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"a chunk that runs on": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n",
		"an endless line":      "HTTP/1.1 200 " + strings.Repeat("x", 4<<10),
		"an endless head":      "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", maxHead),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := readAnswer(bufio.NewReaderSize(strings.NewReader(text), 2<<10)); err == nil {
				t.Errorf("taken for %+v", got)
			}
		})
	}
}

// FuzzAnswer checks that foreign bytes are read without a panic and within bounds, and that what
// both we and net/http take for an answer is the same one.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	f.Add([]byte("HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\nok"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := readAnswer(bufio.NewReaderSize(bytes.NewReader(raw), 2<<10))
		if err != nil {
			return
		}
		if len(got.body) > maxBody {
			t.Errorf("a body of %d bytes", len(got.body))
		}
		theirs, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), nil)
		if err != nil || theirs.StatusCode < 200 || theirs.StatusCode == 204 || theirs.StatusCode == 304 {
			return
		}
		body, err := io.ReadAll(io.LimitReader(theirs.Body, maxBody))
		if err != nil || !got.whole {
			return
		}
		if theirs.StatusCode != got.code || string(body) != got.body {
			t.Errorf("we read %d %q, net/http %d %q", got.code, got.body, theirs.StatusCode, body)
		}
	})
}
