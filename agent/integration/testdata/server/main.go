// Command server is an invented component: it serves /healthz after a while, keeps a state
// directory when told to, and can be made to fail.
package main

import (
	"bytes"
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address")
	delay := flag.Duration("delay", 0, "time until healthy")
	state := flag.String("state", "", "file to make")
	unix := flag.String("unix", "", "further address: a unix socket")
	secure := flag.String("tls", "", "further address: with TLS")
	pair := flag.String("pair", "", "directory of the pair for TLS, read at each handshake")
	fail := flag.Bool("fail", false, "end with an error at once")
	flag.Parse()
	if *fail {
		fmt.Fprintln(os.Stderr, "server: flag provided but not defined: --nonsense password=hunter2hunter2")
		os.Exit(3)
	}
	if os.Getenv("NOTIFY_SOCKET") != "" || os.Getenv("WATCHDOG_USEC") != "" {
		fmt.Fprintln(os.Stderr, "server: systemd's variables reached me")
		os.Exit(4)
	}
	if *state != "" {
		if err := os.MkdirAll(filepath.Dir(*state), 0o700); err != nil {
			fmt.Fprintln(os.Stderr, "server:", err)
			os.Exit(5)
		}
		if err := os.WriteFile(*state, []byte("state"), 0o600); err != nil {
			fmt.Fprintln(os.Stderr, "server:", err)
			os.Exit(5)
		}
	}
	if *unix != "" {
		_ = os.Remove(*unix)
		if err := os.MkdirAll(filepath.Dir(*unix), 0o755); err != nil {
			fmt.Fprintln(os.Stderr, "server:", err)
			os.Exit(5)
		}
		listener, err := net.Listen("unix", *unix)
		if err != nil {
			fmt.Fprintln(os.Stderr, "server:", err)
			os.Exit(5)
		}
		go func() { _ = http.Serve(listener, nil) }()
	}
	began := time.Now()
	var hung atomic.Bool
	http.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if hung.Load() || time.Since(began) < *delay {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	http.HandleFunc("/hang", func(http.ResponseWriter, *http.Request) { hung.Store(true) })
	if *secure != "" {
		read := func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			certificate, err := tls.LoadX509KeyPair(filepath.Join(*pair, "tls.crt"), filepath.Join(*pair, "tls.key"))
			return &certificate, err
		}
		listener, err := tls.Listen("tcp", *secure, &tls.Config{GetCertificate: read, MinVersion: tls.VersionTLS13})
		if err != nil {
			fmt.Fprintln(os.Stderr, "server:", err)
			os.Exit(5)
		}
		go func() { _ = http.Serve(listener, nil) }()
	}
	http.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) {
		fmt.Fprintln(os.Stderr, "server: fatal: told to end, password=hunter2hunter2")
		os.Exit(7)
	})
	http.HandleFunc("/eat", func(http.ResponseWriter, *http.Request) {
		const enough = 512 // MiB; the node's limit is far below, and the machine's must be far above
		var eaten [][]byte
		for range enough {
			eaten = append(eaten, bytes.Repeat([]byte{1}, 1<<20))
		}
		fmt.Fprintln(os.Stderr, "server: nobody stopped me at", len(eaten), "MiB")
		os.Exit(8)
	})
	if err := http.ListenAndServe(*listen, nil); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(6)
	}
}
