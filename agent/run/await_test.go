package run

import (
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"slipway.build/slipway/agent/plan"
)

// waiting returns a supervisor of a component that awaits the server.
func waiting(t *testing.T, server *httptest.Server) *supervisor {
	t.Helper()
	t.Setenv("NOTIFY_SOCKET", "")
	notify, err := newNotifier()
	if err != nil {
		t.Fatal(err)
	}
	s, _ := spec(t)
	s.Await = &plan.Probe{URL: server.URL, Timeout: plan.Duration(time.Minute)}
	return &supervisor{spec: s, stderr: os.Stderr, notify: notify}
}

func TestAComponentBeginsOnceWhatItAwaitsAnswers(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	if sig := waiting(t, server).await(make(chan os.Signal)); sig != nil {
		t.Errorf("ended by %v", sig)
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("asked %d times, want 3", n)
	}
}

func TestASignalEndsTheWait(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	signals := make(chan os.Signal, 2)
	signals <- syscall.SIGHUP // is about nothing that runs yet
	signals <- syscall.SIGTERM
	if sig := waiting(t, server).await(signals); sig != syscall.SIGTERM {
		t.Errorf("ended by %v, want SIGTERM", sig)
	}
}
