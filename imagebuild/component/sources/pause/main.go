// Command pause is the first process of a pod's sandbox. It holds the pod's namespaces open,
// takes over and reaps orphaned processes when the pod shares its process namespace, and
// ends at once when it is told to.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// version is also the image's tag.
const version = "v1.0.0"

func main() {
	if len(os.Args) > 1 && os.Args[1] == "--version" {
		fmt.Println("pause", version)
		return
	}
	// One idle process per pod: keep its heap as small as the runtime allows.
	debug.SetGCPercent(10)
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "pause: not the first process of its namespace; orphans will not come here")
	}
	// SIGCHLD is asked for before the first look, so that no exit falls between the two.
	signals := make(chan os.Signal, 1)
	children := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	signal.Notify(children, syscall.SIGCHLD)
	for {
		reap()
		select {
		case <-children:
		case <-signals:
			return
		}
	}
}

// reap collects every child that has ended. Several exits may have come as one signal.
func reap() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
	}
}
