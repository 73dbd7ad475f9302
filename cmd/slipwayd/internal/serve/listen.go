package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// grace is how long calls in progress may take to end at a shutdown.
const grace = 5 * time.Second

// plain returns a server for what is not encrypted. Answers have no limit in time: some wait for
// events, some are images.
func plain(handler http.Handler) *http.Server {
	return &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
}

// serve runs a server until ctx ends, then lets its calls in progress end.
func serve(ctx context.Context, group *errgroup.Group, address string, server *http.Server) {
	group.Go(func() error {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return err
		}
		stopped := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			defer close(stopped)
			within, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
			defer cancel()
			if server.Shutdown(within) != nil {
				server.Close()
			}
		})
		if server.TLSConfig != nil {
			err = server.ServeTLS(listener, "", "")
		} else {
			err = server.Serve(listener)
		}
		if !stop() {
			<-stopped // the server has let go of its listener; calls may still be in progress
		}
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return fmt.Errorf("serve %s: %w", address, err)
	})
}
