package local

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// serve runs a server for a test and returns its path.
func serve(t *testing.T, answer func(Request, string) (string, error)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run", "agent.sock")
	listener, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	server := &Server{Log: slog.New(slog.DiscardHandler), Answer: func(_ context.Context, r Request, peer string) (string, error) { return answer(r, peer) }}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the server ended with %v", err)
		}
	})
	return path
}

func TestTheAgentAnswersWhoeverIsRoot(t *testing.T) {
	path := serve(t, func(r Request, peer string) (string, error) {
		if !strings.HasPrefix(peer, "on-host (uid ") {
			t.Errorf("peer %q", peer)
		}
		if r.Do != RollBack {
			return "", errors.New("no such thing: " + r.Do)
		}
		return "done", nil
	})
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket %v, %v", info, err)
	}
	if got, err := Ask(t.Context(), path, Request{Do: RollBack}); err != nil || got != "done" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := Ask(t.Context(), path, Request{Do: "dance"}); err == nil || err.Error() != "no such thing: dance" {
		t.Errorf("error %v", err)
	}
}

func TestWhatIsNoRequestIsRefused(t *testing.T) {
	path := serve(t, func(Request, string) (string, error) { t.Error("it was believed"); return "", nil })
	for _, text := range []string{"rollback\n", strings.Repeat("x", 2*maxRequest) + "\n", "[]\n"} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(text))
		answer := make([]byte, 1024)
		n, _ := conn.Read(answer)
		if !strings.Contains(string(answer[:n]), "read the request") && n > 0 {
			t.Errorf("%.20q is answered by %s", text, answer[:n])
		}
		_ = conn.Close()
	}
}

func TestASocketThatTakesNobodyInDoesNotEndTheAgent(t *testing.T) {
	listener, err := Listen(filepath.Join(t.TempDir(), "agent.sock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil { // so that each try to take somebody in fails
		t.Fatal(err)
	}
	tries := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(t.Context())
	server := &Server{Log: slog.New(slog.NewTextHandler(told(tries), nil))}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	for range 2 {
		<-tries
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the server ended with %v", err)
	}
}

// told is told of each line of a log.
type told chan struct{}

func (c told) Write(p []byte) (int, error) {
	c <- struct{}{}
	return len(p), nil
}

func TestNoAgentIsToldApart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.sock")
	if _, err := Ask(t.Context(), path, Request{Do: RollBack}); !errors.Is(err, ErrNoAgent) {
		t.Errorf("no socket: %v", err)
	}
	listener, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	_ = listener.Close()
	if _, err := Ask(t.Context(), path, Request{Do: RollBack}); !errors.Is(err, ErrNoAgent) {
		t.Errorf("a socket that was left: %v", err)
	}
	again, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}

func FuzzRequests(f *testing.F) {
	f.Add([]byte(`{"do":"rollback"}` + "\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		ours, theirs := net.Pipe()
		defer func() { _ = ours.Close() }()
		go func() { _, _ = theirs.Write(raw); _ = theirs.Close() }()
		_, _ = decode(ours)
	})
}
