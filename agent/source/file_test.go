package source_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/source"
)

// log is what a source says.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// await waits until the source has said something.
func (l *logged) await(t *testing.T, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !strings.Contains(l.String(), text) {
		select {
		case <-ctx.Done():
			t.Fatalf("it never said %q, but:\n%s", text, l)
		case <-time.After(time.Millisecond):
		}
	}
}

// following is a source that is read by a goroutine.
type following struct {
	t    *testing.T
	log  *logged
	came chan string
}

func follow(t *testing.T, path string) *following {
	t.Helper()
	f := &following{t: t, log: &logged{}, came: make(chan string, 100)}
	s := &source.File{Path: path, Log: slog.New(slog.NewTextHandler(f.log, nil))}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			delivery, err := s.Next(ctx)
			if err != nil {
				if ctx.Err() == nil {
					t.Errorf("the source ended: %v", err)
				}
				return
			}
			f.came <- string(delivery.Envelope)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// want waits until this is delivered, and fails for anything else before it.
func (f *following) want(text string) {
	f.t.Helper()
	select {
	case got := <-f.came:
		if got != text {
			f.t.Fatalf("delivered %q, want %q", got, text)
		}
	case <-time.After(30 * time.Second): // before the source looks without an event
		f.t.Fatalf("%q is not delivered; the log:\n%s", text, f.log)
	}
}

func content(text string) []byte {
	raw, err := json.Marshal(protocol.Delivery{Envelope: []byte(text)})
	if err != nil {
		panic(err)
	}
	return raw
}

func put(t *testing.T, path string, raw []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func try(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAFileIsFollowedThroughWhateverChangesIt(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, dir, path string, f *following){
		"a rename over it": func(t *testing.T, _, path string, _ *following) {
			put(t, path+".new", content("two"))
			try(t, os.Rename(path+".new", path))
		},
		"a rewrite in place, in pieces": func(t *testing.T, _, path string, f *following) {
			raw := content("two")
			file, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
			try(t, err)
			for _, b := range raw {
				_, err := file.Write([]byte{b})
				try(t, err)
			}
			try(t, file.Close())
		},
		"it is removed and comes again": func(t *testing.T, _, path string, f *following) {
			try(t, os.Remove(path))
			f.log.await(t, "no such file")
			put(t, path, content("two"))
		},
		"its directory is removed and comes again": func(t *testing.T, _, path string, f *following) {
			try(t, os.RemoveAll(filepath.Dir(path)))
			f.log.await(t, "no such file")
			put(t, path, content("two"))
		},
		"its directory is moved away and another comes": func(t *testing.T, dir, path string, f *following) {
			put(t, filepath.Join(dir, "next", "plan.json"), content("two"))
			try(t, os.Rename(filepath.Dir(path), filepath.Join(dir, "old")))
			try(t, os.Rename(filepath.Join(dir, "next"), filepath.Dir(path)))
		},
		"it turns into a link": func(t *testing.T, dir, path string, _ *following) {
			put(t, filepath.Join(dir, "elsewhere", "two.json"), content("two"))
			try(t, os.Symlink("../elsewhere/two.json", path+".new"))
			try(t, os.Rename(path+".new", path))
		},
		"nonsense, then a good one": func(t *testing.T, _, path string, f *following) {
			put(t, path, []byte("{"))
			f.log.await(t, "is no delivery")
			put(t, path, content("two"))
		},
		"thousands of events": func(t *testing.T, _, path string, _ *following) {
			for i := range 3000 {
				try(t, os.WriteFile(path+".noise", []byte{byte(i)}, 0o600))
			}
			put(t, path, content("two"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "plans", "plan.json")
			put(t, path, content("one"))
			f := follow(t, path)
			f.want("one")
			change(t, dir, path, f)
			f.want("two")
		})
	}
}

func TestAFileMayAppearWithItsDirectories(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "c", "plan.json")
	f := follow(t, path)
	f.log.await(t, "no such file")
	put(t, path, content("one"))
	f.want("one")
}

// Kubernetes' projected volumes replace all files at once by a link to a directory.
func TestLinksOnTheWayAreFollowedWhereTheyLead(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "..v1", "plan.json"), content("one"))
	put(t, filepath.Join(dir, "..v2", "plan.json"), content("two"))
	try(t, os.Symlink("..v1", filepath.Join(dir, "..data")))
	try(t, os.Symlink("..data/plan.json", filepath.Join(dir, "plan.json")))
	outer := t.TempDir()
	try(t, os.Symlink(dir, filepath.Join(outer, "plans")))
	f := follow(t, filepath.Join(outer, "plans", "plan.json"))
	f.want("one")
	try(t, os.Symlink("..v2", filepath.Join(dir, "..next")))
	try(t, os.Rename(filepath.Join(dir, "..next"), filepath.Join(dir, "..data")))
	f.want("two")
	put(t, filepath.Join(dir, "..v2", "plan.json"), content("three"))
	f.want("three")
	third := t.TempDir()
	put(t, filepath.Join(third, "plan.json"), content("four"))
	try(t, os.Symlink(third, filepath.Join(outer, "next")))
	try(t, os.Rename(filepath.Join(outer, "next"), filepath.Join(outer, "plans")))
	f.want("four")
	try(t, os.Remove(filepath.Join(outer, "plans")))
	try(t, os.Symlink("plans", filepath.Join(outer, "plans"))) // a loop leads nowhere
	f.log.await(t, "too many levels")
	try(t, os.Remove(filepath.Join(outer, "plans")))
	put(t, filepath.Join(outer, "plans", "plan.json"), content("five"))
	f.want("five")
}

func TestHostileFilesAreReportedAndWaitedFor(t *testing.T) {
	for name, test := range map[string]struct {
		make func(path string) error
		says string
	}{
		"a fifo that nobody writes": {func(p string) error { return unix.Mkfifo(p, 0o600) }, "no regular file"},
		"a device without an end":   {func(p string) error { return os.Symlink("/dev/zero", p) }, "no regular file"},
		"a directory":               {func(p string) error { return os.Mkdir(p, 0o700) }, "no regular file"},
		"a loop of links":           {func(p string) error { return os.Symlink(p, p) }, "too many levels"},
		"too much": {func(p string) error {
			return os.WriteFile(p, bytes.Repeat([]byte(" "), 32<<20+1), 0o600)
		}, "more than the limit"},
		"an unknown field":        {func(p string) error { return os.WriteFile(p, []byte(`{"envelope":"e30=","run":"x"}`), 0o600) }, "unknown field"},
		"more after its end":      {func(p string) error { return os.WriteFile(p, append(content("x"), '{'), 0o600) }, "after its end"},
		"no envelope":             {func(p string) error { return os.WriteFile(p, []byte(`{}`), 0o600) }, "no envelope"},
		"bytes that are no text":  {func(p string) error { return os.WriteFile(p, bytes.Repeat([]byte{0xff, 0}, 99), 0o600) }, "is no delivery"},
		"brackets without an end": {func(p string) error { return os.WriteFile(p, bytes.Repeat([]byte("["), 1<<20), 0o600) }, "is no delivery"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "plan.json")
			try(t, test.make(path))
			f := follow(t, path)
			f.log.await(t, test.says)
			put(t, path+".new", content("good"))
			if info, err := os.Lstat(path); err == nil && info.IsDir() {
				try(t, os.Remove(path))
			}
			try(t, os.Rename(path+".new", path))
			f.want("good")
		})
	}
}

func TestTheSameContentAgainIsNoNews(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.json")
	put(t, path, content("one"))
	f := follow(t, path)
	f.want("one")
	for i := range 5 {
		put(t, path, content("one"))
		put(t, fmt.Sprint(path, ".", i), nil)
	}
	put(t, path, content("two"))
	f.want("two")
}
