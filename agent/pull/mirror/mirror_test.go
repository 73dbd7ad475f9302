package mirror

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"slipway.build/slipway/agent/fault"
)

// world is registries without a network, by host; time in it is synctest's.
type world struct {
	mu    sync.Mutex
	hosts map[string]*host
	asked []string // hosts in the order in which they were asked
}

// host is one registry with one blob, and its faults.
type host struct {
	content  []byte
	status   int   // instead of an answer
	noRanges bool  // answers 416 to every range
	ignores  bool  // answers ranges with everything
	empty    bool  // ends every body at once, without saying so
	breakAt  int64 // ends every body after so many bytes, without saying so
	stallAt  int64 // sends nothing any more after so many bytes
	rate     int   // bytes a second
}

func (w *world) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, req.URL.Host)
	h := w.hosts[req.URL.Host]
	if h == nil {
		return nil, errors.New("connection refused")
	}
	header := http.Header{}
	answer := func(status int, from, to int64) *http.Response {
		body := &body{ctx: req.Context(), host: h, content: h.content[from:to], closed: make(chan struct{})}
		return &http.Response{StatusCode: status, Status: strconv.Itoa(status), Header: header, ContentLength: to - from, Body: body, Request: req}
	}
	whole := int64(len(h.content))
	requested := req.Header.Get("Range")
	switch {
	case h.status != 0:
		return answer(h.status, 0, 0), nil
	case requested == "" || h.ignores:
		return answer(http.StatusOK, 0, whole), nil
	case h.noRanges:
		return answer(http.StatusRequestedRangeNotSatisfiable, 0, 0), nil
	}
	var from, to int64
	if _, err := fmt.Sscanf(requested, "bytes=%d-%d", &from, &to); err != nil {
		return nil, err
	}
	header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, whole))
	return answer(http.StatusPartialContent, from, to+1), nil
}

type body struct {
	ctx     context.Context
	host    *host
	content []byte
	sent    int64
	once    sync.Once
	closed  chan struct{}
}

func (b *body) Read(p []byte) (int, error) {
	if b.host.stallAt > 0 && b.sent >= b.host.stallAt {
		select {
		case <-b.closed:
			return 0, errors.New("closed")
		case <-b.ctx.Done():
			return 0, b.ctx.Err()
		}
	}
	if b.host.empty || b.host.breakAt > 0 && b.sent >= b.host.breakAt {
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p[:min(len(p), 1000)], b.content)
	b.content = b.content[n:]
	b.sent += int64(n)
	if b.host.rate > 0 {
		time.Sleep(time.Duration(n) * time.Second / time.Duration(b.host.rate))
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (b *body) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

func content(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(i * i >> 3)
	}
	return out
}

// flipped is content with one byte changed.
func flipped(raw []byte) []byte {
	out := bytes.Clone(raw)
	out[len(out)/2] ^= 1
	return out
}

func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// fetch reads the whole blob from the hosts and checks it as a caller does.
func fetch(ctx context.Context, s *Set, want []byte, progress func(int64)) error {
	part := Range{To: int64(len(want)), Size: int64(len(want))}
	return s.Fetch(ctx, "r/blobs/x", part, progress, func(b *Blob) error {
		got, err := io.ReadAll(b)
		if err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			return fault.Terminalf("wrong bytes")
		}
		return nil
	})
}

func (w *world) set(names ...string) *Set {
	var bases []string
	for _, name := range names {
		bases = append(bases, "http://"+name)
	}
	return NewSet(&http.Client{Transport: w}, bases)
}

func TestABlobComesFromWhoeverHasItRight(t *testing.T) {
	raw := content(20_000)
	for name, tt := range map[string]struct {
		hosts map[string]*host
		fails fault.Kind // 0: succeeds
	}{
		"one registry":               {map[string]*host{"a": {content: raw}}, 0},
		"the first is away":          {map[string]*host{"b": {content: raw}}, 0},
		"the first is ill":           {map[string]*host{"a": {status: 503}, "b": {content: raw}}, 0},
		"the first has it wrong":     {map[string]*host{"a": {content: flipped(raw)}, "b": {content: raw}}, 0},
		"the first has it shorter":   {map[string]*host{"a": {content: raw[:100]}, "b": {content: raw}}, 0},
		"the first has it longer":    {map[string]*host{"a": {content: append(bytes.Clone(raw), 0)}, "b": {content: raw}}, 0},
		"the first breaks":           {map[string]*host{"a": {content: raw, breakAt: 3000}, "b": {content: raw}}, 0},
		"all break, and go on":       {map[string]*host{"a": {content: raw, breakAt: 3000}, "b": {content: raw, breakAt: 7000}}, 0},
		"the first stalls":           {map[string]*host{"a": {content: raw, stallAt: 3000}, "b": {content: raw}}, 0},
		"no ranges after a break":    {map[string]*host{"a": {content: raw, breakAt: 3000}, "b": {content: raw, noRanges: true}}, 0},
		"ranges ignored":             {map[string]*host{"a": {content: raw, breakAt: 3000}, "b": {content: raw, ignores: true}}, 0},
		"wrong after a break":        {map[string]*host{"a": {content: raw, breakAt: 3000}, "b": {content: flipped(raw)}, "c": {content: raw}}, 0},
		"all have it wrong":          {map[string]*host{"a": {content: flipped(raw)}, "b": {content: flipped(raw)}, "c": {content: flipped(raw)}}, fault.Terminal},
		"one wrong, the others away": {map[string]*host{"b": {content: flipped(raw)}}, fault.Terminal},
		"wrong, and broken in part":  {map[string]*host{"a": {content: flipped(raw), breakAt: 15_000}, "b": {content: flipped(raw)}}, fault.Terminal},
		"nobody there":               {map[string]*host{}, fault.Retriable},
		"nobody has it":              {map[string]*host{"a": {status: 404}, "b": {status: 404}, "c": {status: 404}}, fault.Retriable},
		"everybody sends nothing":    {map[string]*host{"a": {content: raw, breakAt: -1, status: 0}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{hosts: tt.hosts}
				s := w.set("a", "b", "c")
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				var counted int64
				err := fetch(ctx, s, raw, func(n int64) { counted += n })
				if fault.KindOf(err) != tt.fails || (err == nil) != (tt.fails == 0) {
					t.Fatalf("error %v, want kind %v", err, tt.fails)
				}
				if err == nil && counted != int64(len(raw)) {
					t.Errorf("progress counted %d bytes of %d", counted, len(raw))
				}
				if tt.fails == fault.Terminal && counted != 0 {
					t.Errorf("progress kept %d wrong bytes", counted)
				}
			})
		})
	}
}

func TestConnectionsThatBringNothingArePaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{hosts: map[string]*host{"a": {empty: true, content: content(100)}, "b": {empty: true, content: content(100)}}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := fetch(ctx, w.set("a", "b"), content(100), nil); fault.KindOf(err) != fault.Retriable {
			t.Errorf("error %v, want a retriable one", err)
		}
		if n := len(w.asked); n < 10 || n > 80 {
			t.Errorf("asked %d times in a minute", n)
		}
	})
}

func TestAPartOfABlobIsARangeRequest(t *testing.T) {
	raw := content(20_000)
	for name, h := range map[string]*host{"ranges": {content: raw}, "no ranges": {content: raw, noRanges: true}, "ignored": {content: raw, ignores: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := (&world{hosts: map[string]*host{"a": h}}).set("a")
				err := s.Fetch(t.Context(), "r/blobs/x", Range{From: 5000, To: 9000, Size: 20_000}, nil, func(b *Blob) error {
					got, err := io.ReadAll(b)
					if err == nil && !bytes.Equal(got, raw[5000:9000]) {
						t.Errorf("%d bytes that differ", len(got))
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestWhoFailedIsNotAskedFirstUntilItHasCooled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw := content(2000)
		a, b := &host{status: 503}, &host{content: raw}
		w := &world{hosts: map[string]*host{"a": a, "b": b}}
		s := w.set("a", "b")
		ask := func(want string) {
			t.Helper()
			w.asked = nil
			if err := fetch(t.Context(), s, raw, nil); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(w.asked, " "); got != want {
				t.Errorf("asked %s, want %s", got, want)
			}
		}
		ask("a b") // a fails and cools for half a second
		ask("b")
		time.Sleep(firstCool)
		ask("a b") // fails again, and cools for a second
		time.Sleep(firstCool)
		ask("b")
		time.Sleep(firstCool)
		*a = host{content: raw}
		ask("a") // is well again
		ask("a")
		*a = host{content: flipped(raw)}
		ask("a b") // served wrong bytes: cools for long
		time.Sleep(maxCool - time.Second)
		ask("b")
	})
}

func TestTheFasterMirrorIsAskedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw := content(400_000)
		w := &world{hosts: map[string]*host{"slow": {content: raw, rate: 50_000}, "fast": {content: raw, rate: 5_000_000}}}
		s := w.set("slow", "fast")
		for _, want := range []string{"slow", "fast", "fast"} {
			w.asked = nil
			if err := fetch(t.Context(), s, raw, nil); err != nil {
				t.Fatal(err)
			}
			if w.asked[0] != want {
				t.Errorf("asked %v first, want %s", w.asked, want)
			}
		}
	})
}

func TestAStalledConnectionIsDroppedAfterTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw := content(5000)
		s := (&world{hosts: map[string]*host{"a": {content: raw, stallAt: 2000}, "b": {content: raw}}}).set("a", "b")
		s.Stall = 7 * time.Second
		begin := time.Now()
		if err := fetch(t.Context(), s, raw, nil); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != s.Stall {
			t.Errorf("took %s, want the limit of %s and nothing else", took, s.Stall)
		}
	})
}

func TestBandwidthHoldsForAllReadersTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw := content(100_000)
		s := (&world{hosts: map[string]*host{"a": {content: raw}}}).set("a")
		s.Pace = NewPace(20_000)
		begin := time.Now()
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() {
				if err := fetch(t.Context(), s, raw, nil); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		took := time.Since(begin)
		if want := 15 * time.Second; took < want-burst || took > want+burst {
			t.Errorf("300,000 bytes at 20,000 a second took %s", took)
		}
	})
}

func TestAPaceEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := NewPace(1).Wait(ctx, 1000); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if NewPace(0) != nil {
			t.Error("a rate of 0 is a pace")
		}
	})
}

func TestAnObjectIsVerified(t *testing.T) {
	raw := content(3000)
	for name, tt := range map[string]struct {
		hosts    map[string]*host
		optional bool
		want     error // ErrNotFound
		fails    fault.Kind
	}{
		"right":                        {hosts: map[string]*host{"a": {content: raw}}},
		"wrong, then right":            {hosts: map[string]*host{"a": {content: flipped(raw)}, "b": {content: raw}}},
		"too long, then right":         {hosts: map[string]*host{"a": {content: content(100_000)}, "b": {content: raw}}},
		"away, then right":             {hosts: map[string]*host{"b": {content: raw}}},
		"wrong everywhere":             {hosts: map[string]*host{"a": {content: flipped(raw)}, "b": {content: raw[1:]}}, fails: fault.Terminal},
		"wrong, and the other is away": {hosts: map[string]*host{"a": {content: flipped(raw)}}, fails: fault.Terminal},
		"not there":                    {hosts: map[string]*host{"a": {status: 404}, "b": {status: 404}}, fails: fault.Retriable},
		"not there and need not be":    {hosts: map[string]*host{"a": {status: 404}, "b": {status: 404}}, optional: true, want: ErrNotFound},
		"optional, but wrong":          {hosts: map[string]*host{"a": {status: 404}, "b": {content: flipped(raw)}}, optional: true, fails: fault.Terminal},
		"optional, nobody knows":       {hosts: map[string]*host{"a": {status: 404}, "b": {status: 500}}, optional: true, fails: fault.Retriable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := (&world{hosts: tt.hosts}).set("a", "b")
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				ask := s.Object
				if tt.optional {
					ask = s.Optional
				}
				got, err := ask(ctx, "r/manifests/x", digest(raw), 10_000, "")
				switch {
				case tt.want != nil:
					if err != tt.want {
						t.Errorf("error %v, want %v itself", err, tt.want)
					}
				case fault.KindOf(err) != tt.fails:
					t.Errorf("error %v, want kind %v", err, tt.fails)
				case tt.fails == 0 && !bytes.Equal(got, raw):
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
		})
	}
}

func TestStopEndsAReadThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw := content(5000)
		s := (&world{hosts: map[string]*host{"a": {content: raw, stallAt: 1000}}}).set("a")
		s.Stall = time.Hour
		err := s.Fetch(t.Context(), "r/blobs/x", Range{To: 5000, Size: 5000}, nil, func(b *Blob) error {
			time.AfterFunc(time.Second, b.Stop)
			_, err := io.Copy(io.Discard, b)
			return err
		})
		if fault.KindOf(err) != fault.Retriable {
			t.Errorf("error %v, want a retriable one", err)
		}
	})
}
