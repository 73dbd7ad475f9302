package timeline

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway.build/slipway/cmd/slipway/internal/apiclient"
)

func TestAPhaseIsReachedWhenTheLastHasReachedIt(t *testing.T) {
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(seconds float64) time.Time { return begun.Add(time.Duration(seconds * float64(time.Second))) }
	const d = "Signal: deployment 83e8634e-baf9-433f-97e4-cbf235f25f1f "
	events := []apiclient.Event{
		{Time: at(0.1), Resource: "network", Type: "OS::Neutron::Net", Status: "CREATE_IN_PROGRESS"},
		{Time: at(0.2), Resource: "network", Type: "OS::Neutron::Net", Status: "CREATE_COMPLETE"},
		{Time: at(0.9), Resource: "kube-master", Type: "OS::Nova::Server", Status: "CREATE_COMPLETE"},
		{Time: at(1.1), Resource: "kube-minion", Type: "OS::Nova::Server", Status: "CREATE_COMPLETE"},
		{Time: at(2), Resource: "master_config_deployment", Status: "SIGNAL_IN_PROGRESS", StatusReason: "Signal: the agent has begun"},
		{Time: at(4), Resource: "master_config_deployment", Status: "SIGNAL_IN_PROGRESS", StatusReason: d + "staged"},
		{Time: at(3), Resource: "node_config_deployment", Status: "SIGNAL_IN_PROGRESS", StatusReason: d + "staged"},
		{Time: at(8), Resource: "node_config_deployment", Status: "SIGNAL_IN_PROGRESS", StatusReason: d + "succeeded"},
		{Time: at(9), Resource: "kube_cluster_deploy", Status: "SIGNAL_IN_PROGRESS", StatusReason: d + "succeeded"},
		{Time: at(9.5), Resource: "node_config_deployment", Status: "SIGNAL_IN_PROGRESS", StatusReason: d + "failed: no space"},
		{Time: at(10), Resource: "k8s-x7", Status: "CREATE_COMPLETE"},
	}
	want := []Phase{{"network", 0.2}, {"servers", 1.1}, {"joined", 2}, {"staged", 4}, {"nodes healthy", 8}, {"cluster objects", 9}, {"complete", 10}}
	if d := cmp.Diff(want, Phases(events, begun, "k8s-x7")); d != "" {
		t.Error(d)
	}
}
