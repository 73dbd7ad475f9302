package local

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/backoff"
)

// Path is where the running agent listens; its directory is systemd's to clear at a reboot.
const Path = "/run/slipway/agent.sock"

// RollBack asks to go back to the generation before.
const RollBack = "rollback"

// Request is what is asked for.
type Request struct {
	Do string `json:"do"`
}

// Answer is what came of it.
type Answer struct {
	Done  string `json:"done,omitempty"`  // in words
	Error string `json:"error,omitempty"` // why it was not done
}

// ErrNoAgent says that no agent listens.
var ErrNoAgent = errors.New("the agent does not run")

const (
	maxRequest = 4 << 10
	// readLimit bounds the wait for a request, not for its answer: to go back takes as long as units
	// take to start.
	readLimit = 5 * time.Second
)

// Server answers requests.
type Server struct {
	// Answer does what is asked. peer says who asks, in words. It is called by one goroutine for
	// each connection.
	Answer func(ctx context.Context, r Request, peer string) (string, error)
	Log    *slog.Logger
}

// Listen makes the socket, in place of one that an earlier agent left. Only root may connect.
func Listen(path string) (*net.UnixListener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", path, err), listener.Close())
	}
	return listener, nil
}

// Serve answers until ctx ends, and waits for the answers that are under way.
func (s *Server) Serve(ctx context.Context, listener *net.UnixListener) error {
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	var answers sync.WaitGroup
	defer answers.Wait()
	var waits backoff.Backoff
	for {
		conn, err := listener.AcceptUnix()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			// No descriptor left, or no memory: the node's work goes on without being asked.
			s.Log.Warn("nobody can ask the agent on the node now; it listens on", "error", err)
			if err := waits.Wait(ctx); err != nil {
				return err
			}
			continue
		}
		waits.Reset()
		answers.Go(func() {
			defer func() { _ = conn.Close() }()
			s.answer(ctx, conn)
		})
	}
}

func (s *Server) answer(ctx context.Context, conn *net.UnixConn) {
	uid, pid, err := peerOf(conn)
	if err == nil && uid != 0 && uid != os.Geteuid() {
		err = fmt.Errorf("only root may ask, not user %d", uid)
	}
	peer := fmt.Sprintf("on-host (uid %d, pid %d)", uid, pid)
	var request Request
	if err == nil {
		err = read(conn, &request)
	}
	var answer Answer
	if err == nil {
		s.Log.Info("asked on the node", "do", request.Do, "peer", peer)
		answer.Done, err = s.Answer(ctx, request, peer)
	}
	if err != nil {
		s.Log.Warn("a request on the node is not done", "do", request.Do, "peer", peer, "error", err)
		answer.Error = err.Error()
	}
	if err := json.NewEncoder(conn).Encode(answer); err != nil {
		s.Log.Info("whoever asked on the node did not wait for the answer", "error", err)
	}
}

func read(conn *net.UnixConn, request *Request) error {
	if err := conn.SetReadDeadline(time.Now().Add(readLimit)); err != nil {
		return err
	}
	var err error
	*request, err = decode(conn)
	return err
}

func decode(from io.Reader) (Request, error) {
	var request Request
	line, err := bufio.NewReader(io.LimitReader(from, maxRequest)).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &request)
	}
	if err != nil {
		return request, fmt.Errorf("read the request: %w", err)
	}
	return request, nil
}

// peerOf asks the kernel who is at the other end (unix(7), SO_PEERCRED).
func peerOf(conn *net.UnixConn) (uid, pid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, 0, err
	}
	var credentials *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		credentials, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return -1, 0, err
	}
	if failed != nil {
		return -1, 0, fmt.Errorf("who asks: %w", failed)
	}
	return int(credentials.Uid), int(credentials.Pid), nil
}

// Ask asks the running agent and waits for its answer; ErrNoAgent when none listens.
func Ask(ctx context.Context, path string, request Request) (string, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return "", ErrNoAgent
	}
	if err != nil {
		return "", fmt.Errorf("ask the agent: %w", err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := json.NewEncoder(conn).Encode(request); err != nil {
		return "", fmt.Errorf("ask the agent: %w", err)
	}
	var answer Answer
	if err := json.NewDecoder(conn).Decode(&answer); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return "", fmt.Errorf("the agent's answer: %w (what it does goes on: slipway-agent status)", err)
	}
	if answer.Error != "" {
		return "", errors.New(answer.Error)
	}
	return answer.Done, nil
}
