// Command component is an invented component that can be told to misbehave.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	listen := flag.String("listen", "", "address of a socket: /path for unix, host:port for TCP")
	_ = flag.String("label", "", "nothing: makes its arguments differ")
	fail := flag.Bool("fail", false, "end with an error at once")
	failAfter := flag.Duration("fail-after", 0, "end with an error after this time")
	deaf := flag.Bool("deaf", false, "never listen")
	stubborn := flag.Bool("stubborn", false, "ignore SIGTERM")
	flag.Parse()
	if *fail {
		die("unknown flag: --nonsense")
	}
	if *stubborn {
		signal.Ignore(syscall.SIGTERM)
	}
	if *listen != "" && !*deaf {
		listener, err := open(*listen)
		if err != nil {
			die(err.Error())
		}
		go accept(listener)
	}
	if *failAfter > 0 {
		time.Sleep(*failAfter)
		die(fmt.Sprintf("the disk of the test is worn out after %s", *failAfter))
	}
	for {
		time.Sleep(time.Hour) // with nothing to listen to, blocking forever would be a deadlock
	}
}

func open(address string) (net.Listener, error) {
	if !filepath.IsAbs(address) {
		return net.Listen("tcp", address)
	}
	_ = os.Remove(address)
	if err := os.MkdirAll(filepath.Dir(address), 0o755); err != nil {
		return nil, err
	}
	return net.Listen("unix", address)
}

func accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			die(err.Error())
		}
		_ = conn.Close()
	}
}

func die(text string) {
	fmt.Fprintln(os.Stderr, "component:", text)
	os.Exit(3)
}
