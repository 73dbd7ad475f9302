package probe_test

import (
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"slipway.build/slipway/agent/plan"
)

// socket listens at a path that is short enough for one.
func socket(t *testing.T) (net.Listener, plan.Probe) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener, plan.Probe{URL: "grpc+unix://" + path, Timeout: plan.Duration(patience)}
}

func TestAGRPCServerSaysWhetherItServes(t *testing.T) {
	listener, p := socket(t)
	server, service := grpc.NewServer(), health.NewServer()
	healthpb.RegisterHealthServer(server, service)
	ended := make(chan error)
	go func() { ended <- server.Serve(listener) }()
	defer func() {
		server.Stop()
		<-ended
	}()
	for range 3 {
		if err := ask(t, p); err != nil {
			t.Fatal(err)
		}
	}
	service.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
	if err := ask(t, p); err == nil || !strings.Contains(err.Error(), "does not serve (status 2)") {
		t.Errorf("a server that does not serve: %v", err)
	}
}

func TestAGRPCServerWithoutTheHealthProtocolIsNotWell(t *testing.T) {
	listener, p := socket(t)
	server := grpc.NewServer()
	ended := make(chan error)
	go func() { ended <- server.Serve(listener) }()
	defer func() {
		server.Stop()
		<-ended
	}()
	if err := ask(t, p); err == nil || !strings.Contains(err.Error(), "answers with an error") {
		t.Errorf("error %v", err)
	}
}

func TestAServerThatHangsIsNotWellThoughItAcceptsConnections(t *testing.T) {
	_, p := socket(t) // the kernel accepts for it
	p.Timeout = plan.Duration(50 * time.Millisecond)
	if err := ask(t, p); err == nil {
		t.Error("it is well")
	}
	if err := ask(t, plan.Probe{URL: strings.TrimPrefix(p.URL, "grpc+")}); err != nil {
		t.Errorf("a connection alone is refused: %v", err)
	}
}

func TestAServerOfAnotherProtocolIsNotWell(t *testing.T) {
	listener, p := socket(t)
	server := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Minute}
	ended := make(chan error)
	go func() { ended <- server.Serve(listener) }()
	defer func() {
		_ = server.Close()
		<-ended
	}()
	if err := ask(t, p); err == nil {
		t.Error("it is well")
	}
}
