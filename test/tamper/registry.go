package main

import (
	"bytes"
	"net/http"
	"path"
	"strconv"
	"sync"
	"time"
)

// change is what happens to one object, identified by digest, whenever it is served.
type change struct {
	digest string
	offset int64
	mask   byte // not zero, or the flip would be none
	cut    bool // end at offset, and say so in the length
	// breakAt ends the first connection before this byte; 0 for never. The flip comes in what is
	// fetched after it.
	breakAt int64
}

// registry serves images, one object of them changed. A worker has one of its own.
type registry struct {
	images []*image

	mu      sync.Mutex
	change  change
	broken  bool
	applied bool
}

// set makes the next change, and forgets whether the last one was applied.
func (r *registry) set(c change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.change, r.broken, r.applied = c, false, false
}

// wasApplied reports whether the changed byte, or the cut, was served.
func (r *registry) wasApplied() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.applied
}

func (r *registry) find(d string) []byte {
	for _, img := range r.images {
		if raw := img.raw(d); raw != nil {
			return raw
		}
	}
	return nil
}

// ServeHTTP serves /v2/<repository>/(manifests|blobs)/<digest>, ranges included.
func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	raw := r.find(path.Base(req.URL.Path))
	if raw == nil {
		http.NotFound(w, req)
		return
	}
	http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(r.tampered(path.Base(req.URL.Path), raw)))
}

// tampered returns the object as it is served from a registry whose storage is changed.
func (r *registry) tampered(d string, raw []byte) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.change.digest != d {
		return raw
	}
	r.applied = true
	if r.change.cut {
		return raw[:r.change.offset]
	}
	changed := bytes.Clone(raw)
	changed[r.change.offset] ^= r.change.mask
	return changed
}

// wire stands between a client and a registry that is right, and changes bytes as they pass.
type wire struct {
	registry
	upstream string
	client   *http.Client
}

// ServeHTTP passes a request on and the answer back.
func (w *wire) ServeHTTP(out http.ResponseWriter, req *http.Request) {
	forward, err := http.NewRequestWithContext(req.Context(), req.Method, w.upstream+req.URL.Path, nil)
	if err != nil {
		http.Error(out, err.Error(), http.StatusBadGateway)
		return
	}
	forward.Header = req.Header.Clone()
	answer, err := w.client.Do(forward)
	if err != nil {
		http.Error(out, err.Error(), http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(answer.Body); err != nil {
		http.Error(out, err.Error(), http.StatusBadGateway)
		return
	}
	for _, name := range []string{"Content-Type", "Content-Range"} {
		if v := answer.Header.Get(name); v != "" {
			out.Header().Set(name, v)
		}
	}
	w.pass(out, path.Base(req.URL.Path), start(answer), answer.StatusCode, body.Bytes())
}

// start is the object's byte with which the answer begins.
func start(answer *http.Response) int64 {
	header := answer.Header.Get("Content-Range")
	if answer.StatusCode != http.StatusPartialContent {
		return 0
	}
	rest := header[len("bytes "):]
	for i := range rest {
		if rest[i] == '-' {
			n, _ := strconv.ParseInt(rest[:i], 10, 64)
			return n
		}
	}
	return 0
}

// pass writes the body, changed where it is to be.
func (w *wire) pass(out http.ResponseWriter, d string, from int64, status int, body []byte) {
	w.mu.Lock()
	c := w.change
	breaks := c.digest == d && c.breakAt > 0 && !w.broken
	if breaks {
		w.broken = true
	}
	w.mu.Unlock()
	length := len(body)
	at := c.offset - from
	flips := c.digest == d && !breaks && at >= 0 && at < int64(len(body))
	switch {
	case breaks:
		body = body[:c.breakAt]
	case flips && c.cut:
		body = body[:at]
		length = len(body)
	case flips:
		body[at] ^= c.mask
	}
	if flips {
		w.mu.Lock()
		w.applied = true
		w.mu.Unlock()
	}
	out.Header().Set("Content-Length", strconv.Itoa(length))
	out.WriteHeader(status)
	_, _ = out.Write(body) // who is told a wrong length may hang up
	if breaks {
		_ = http.NewResponseController(out).Flush()
		panic(http.ErrAbortHandler) // the connection is cut
	}
}
