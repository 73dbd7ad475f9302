package graph

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestSortPutsNeedsFirst(t *testing.T) {
	var g Graph
	g.Add("server", "port", "volume")
	g.Add("port", "subnet")
	g.Add("subnet", "network")
	g.Add("network")
	g.Add("volume")
	g.Add("server", "port")
	got, err := g.Sort()
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"network", "subnet", "port", "volume", "server"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if u := g.Users("port"); !slices.Equal(u, []string{"server"}) {
		t.Errorf("users of port: %v", u)
	}
	h, _ := g.Heights()
	if h["network"] != 3 || h["volume"] != 1 || h["server"] != 0 {
		t.Errorf("heights %v", h)
	}
}

func TestSortNamesTheCycleAndTheMissing(t *testing.T) {
	var g Graph
	g.Add("x", "a")
	g.Add("a", "b")
	g.Add("b", "c")
	g.Add("c", "a")
	_, err := g.Sort()
	var cycle *CycleError
	if !errors.As(err, &cycle) || cycle.Error() != "circular dependency: a -> b -> c -> a" {
		t.Errorf("got %v", err)
	}
	var self Graph
	self.Add("a", "a")
	if _, err := self.Sort(); err == nil {
		t.Error("a node that needs itself was accepted")
	}
	var missing Graph
	missing.Add("a", "b")
	if _, err := missing.Sort(); err == nil || !strings.Contains(err.Error(), "a needs b") {
		t.Errorf("got %v", err)
	}
}

func TestSortOfALongChainDoesNotRecurse(t *testing.T) {
	var g Graph
	const n = 200_000
	for i := range n {
		g.Add(fmt.Sprint(i), fmt.Sprint(i+1))
	}
	g.Add(fmt.Sprint(n))
	if got, err := g.Sort(); err != nil || got[0] != fmt.Sprint(n) {
		t.Errorf("%v %v", got[:1], err)
	}
}

func TestDOTDrawsNestedStacksAsBoxes(t *testing.T) {
	var b strings.Builder
	err := WriteDOT(&b, "k8s", []Node{
		{ID: "1", Name: "network", Type: "OS::Neutron::Net", Status: "CREATE_COMPLETE"},
		{ID: "2", Name: "kube_masters", Status: "CREATE_IN_PROGRESS", Needs: []string{"1"}, Children: []Node{{ID: "3", Name: "kube-master", Status: "INIT_COMPLETE"}}},
		{ID: "4", Name: "kube_cluster_deploy", Needs: []string{"2"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`subgraph "cluster_2"`, `"1" -> "3" [lhead="cluster_2"]`, `"3" -> "4" [ltail="cluster_2"]`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in\n%s", want, b.String())
		}
	}
}
