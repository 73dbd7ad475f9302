// Command probe is what runs in the pods of the tests of whole systems: a server that says where it
// runs, and the clients that the test executes in a pod. It is one static binary, because the
// image that it goes into has nothing else.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: probe serve ADDRESS | get URL | resolve NAME | dial ADDRESS")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	switch args[0] {
	case "serve":
		return serve(args[1])
	case "get":
		return get(ctx, args[1])
	case "resolve":
		addresses, err := net.DefaultResolver.LookupHost(ctx, args[1])
		if err != nil {
			return err
		}
		fmt.Println(addresses)
		return nil
	case "dial":
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", args[1])
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = io.Copy(os.Stdout, conn)
		return err
	default:
		return fmt.Errorf("unknown command %q", args[0])
	}
}

// serve answers every request with the node and the pod that it runs in.
func serve(address string) error {
	where := fmt.Sprintf("%s %s\n", os.Getenv("NODE_NAME"), os.Getenv("POD_NAME"))
	fmt.Print("serving on ", where)
	return http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, where)
	}))
}

func get(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}
