package watch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway.build/slipway/cmd/slipway/internal/apiclient"
	"slipway.build/slipway/cmd/slipway/internal/progress"
)

// script is an API whose cluster answers come from a list, one per look; the last one stays.
type script struct {
	answers []answer
	graph   *apiclient.Graph
	graphs  int // how often it was asked for
}

type answer struct {
	status, reason string
	err            error
}

func (s *script) Cluster(context.Context, string) (*apiclient.Cluster, error) {
	a := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	if a.err != nil {
		return nil, a.err
	}
	return &apiclient.Cluster{UUID: "u", Name: "k8s", Status: a.status, StatusReason: a.reason, StackID: "s", Faults: map[string]string{"default-worker": a.reason}}, nil
}

func (s *script) Stack(context.Context, string, string) (apiclient.StackRef, error) {
	return apiclient.StackRef{ID: "s", Name: "k8s-x"}, nil
}

func (s *script) Graph(context.Context, apiclient.StackRef) (*apiclient.Graph, error) {
	s.graphs++
	return s.graph, nil
}

// recorder keeps what is reported, as lines.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

func (r *recorder) Report(u progress.Update) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf("%s %s %d/%d %s", u.Label, u.State, u.Done, u.Total, u.Detail))
}

func (r *recorder) Note(format string, a ...any) {
	r.lines = append(r.lines, fmt.Sprintf(format, a...))
}
func (r *recorder) Close() {}

func follow(t *testing.T, s *script) (*recorder, error) {
	t.Helper()
	if s.graph == nil {
		s.graph = &apiclient.Graph{}
	}
	r := &recorder{}
	w := Watcher{API: s, Report: r, Interval: time.Millisecond, Patience: time.Hour}
	_, err := w.Until(t.Context(), "u")
	return r, err
}

func TestARestartOfSlipwaydIsNoFailure(t *testing.T) {
	away := answer{err: &apiclient.UnreachableError{Endpoint: "here", Err: errors.New("connection refused")}}
	r, err := follow(t, &script{answers: []answer{{status: "CREATE_IN_PROGRESS"}, away, away, {status: "CREATE_IN_PROGRESS"}, {status: "CREATE_COMPLETE"}}})
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(strings.Join(r.lines, "\n"), "slipwayd does not answer"); n != 1 {
		t.Errorf("it was said %d times that slipwayd is away, want once", n)
	}
}

func TestResourcesAreLookedAtLessOftenButAtTheEnd(t *testing.T) {
	busy := answer{status: "CREATE_IN_PROGRESS"}
	s := &script{answers: []answer{busy, busy, busy, busy, {status: "CREATE_COMPLETE"}}, graph: &apiclient.Graph{}}
	w := Watcher{API: s, Report: &recorder{}, Interval: time.Millisecond, GraphInterval: time.Hour}
	if _, err := w.Until(t.Context(), "u"); err != nil || s.graphs != 2 {
		t.Errorf("%d looks at the resources, want the first and the last; %v", s.graphs, err)
	}
}

func TestASlipwaydThatStaysAwayEndsThePatience(t *testing.T) {
	away := answer{err: &apiclient.UnreachableError{Endpoint: "here", Err: errors.New("connection refused")}}
	w := Watcher{API: &script{answers: []answer{away}}, Report: &recorder{}, Interval: time.Millisecond, Patience: 5 * time.Millisecond}
	if _, err := w.Until(t.Context(), "u"); !apiclient.IsUnreachable(err) {
		t.Errorf("got %v", err)
	}
}

func TestAFailureIsTheClustersOwnReasonOnce(t *testing.T) {
	_, err := follow(t, &script{answers: []answer{{status: "CREATE_FAILED", reason: "image etcd: expected sha256:aa, found sha256:bb"}}})
	if err == nil || strings.Count(err.Error(), "expected sha256:aa") != 1 {
		t.Errorf("got %v", err)
	}
}

func TestAClusterThatGoesAwayIsGone(t *testing.T) {
	_, err := follow(t, &script{answers: []answer{{status: "DELETE_IN_PROGRESS"}, {err: &apiclient.Error{Status: http.StatusNotFound, Detail: "gone"}}}})
	if !errors.Is(err, ErrGone) {
		t.Errorf("got %v", err)
	}
}

func TestEachNodeSaysWhatItDoes(t *testing.T) {
	in := func(stack, parent string, rs ...apiclient.Resource) []apiclient.Resource {
		for i := range rs {
			rs[i].ID, rs[i].StackID, rs[i].Parent = stack+rs[i].Name, stack, parent
		}
		return rs
	}
	report := func(phase string, p *apiclient.Progress) apiclient.Resource {
		return apiclient.Resource{Name: "registration", Status: "CREATE_COMPLETE", Report: &apiclient.Report{Phase: phase, Progress: p}}
	}
	server := func(name, status string) apiclient.Resource { return apiclient.Resource{Name: name, Status: status} }
	g := &apiclient.Graph{Nodes: []apiclient.Resource{{ID: "i0", Name: "0"}, {ID: "i9", Name: "9"}, {ID: "i10", Name: "10"}}}
	g.Nodes = append(g.Nodes, in("m0", "i0", server(masterServer, "CREATE_COMPLETE"), server(masterDeployment, "CREATE_IN_PROGRESS"), report("pulling", &apiclient.Progress{BytesDone: 5, BytesTotal: 10}))...)
	g.Nodes = append(g.Nodes, in("m9", "i9", server(masterServer, "CREATE_COMPLETE"), server(masterDeployment, "CREATE_IN_PROGRESS"), report("switched", &apiclient.Progress{UnitsActive: 2, UnitsTotal: 7, Waiting: "etcd"}))...)
	g.Nodes = append(g.Nodes, in("m10", "i10", server(masterServer, "CREATE_IN_PROGRESS"), server(masterDeployment, "INIT_COMPLETE"))...)
	g.Nodes = append(g.Nodes, in("w0", "i0", server(workerServer, "CREATE_COMPLETE"), server(workerDeployment, "CREATE_COMPLETE"), report("healthy", nil))...)
	g.Nodes = append(g.Nodes, in("w9", "i9", server(workerServer, "CREATE_FAILED"), server(workerDeployment, "INIT_COMPLETE"))...)
	var got []string
	for _, n := range nodesOf(g) {
		u := n.update()
		got = append(got, fmt.Sprintf("%s: %s %d/%d %s", u.Label, u.State, u.Done, u.Total, u.Detail))
	}
	want := []string{
		"master 0: running 5/10 pulling",
		"master 9: running 0/0 2 of 7 units ready, waiting for etcd",
		"master 10: running 0/0 is made and boots",
		"worker 0: done 0/0 healthy",
		"worker 9: failed 0/0 kube-minion: ",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
