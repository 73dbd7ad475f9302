package typedwork

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"slipway.build/slipway/agent/cluster"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
)

func (k *kubernetes) unschedulable(node string) bool {
	k.t.Helper()
	var got struct{ Spec struct{ Unschedulable bool } }
	k.do(http.MethodGet, "/api/v1/nodes/"+node, nil, &got)
	return got.Spec.Unschedulable
}

func testCordon(t *testing.T, k *kubernetes) {
	c, ctx := k.client(), within(t, long)
	k.addNode("hand")
	for range 2 {
		if out, err := c.Cordon(ctx, "hand"); err != nil || out["cordoned"] != "by slipway" || !k.unschedulable("hand") {
			t.Errorf("cordoned: %v (%v)", out, err)
		}
	}
	for range 2 {
		if out, err := c.Uncordon(ctx, "hand"); err != nil || out["cordoned"] != "no" || k.unschedulable("hand") {
			t.Errorf("uncordoned: %v (%v)", out, err)
		}
	}
	k.do(http.MethodPatch, "/api/v1/nodes/hand", thing{"spec": thing{"unschedulable": true}}, nil)
	if out, err := c.Cordon(ctx, "hand"); err != nil || out["cordoned"] != "by others" {
		t.Errorf("cordoned what others had: %v (%v)", out, err)
	}
	if out, err := c.Uncordon(ctx, "hand"); err != nil || out["cordoned"] != "by others" || !k.unschedulable("hand") {
		t.Errorf("an operator's cordon was taken back: %v (%v)", out, err)
	}
	if _, err := c.Cordon(ctx, "nobody"); !fault.IsTerminal(err) {
		t.Errorf("a node that is not there: %v", err)
	}
	for range 2 {
		if _, err := c.DeleteNode(ctx, "hand"); err != nil || k.exists("/api/v1/nodes/hand") {
			t.Errorf("deleted: %v", err)
		}
	}
	if out, err := c.Drain(ctx, "hand", plan.Drain{}); err != nil || out["evicted"] != "0" {
		t.Errorf("drained a node that is not there: %v (%v)", out, err)
	}
}

// workload has two pods on the node w1, one of a DaemonSet, and a static one; the other node w2
// is cordoned until the test frees it.
func workload(t *testing.T, k *kubernetes) {
	t.Helper()
	c, ctx := k.client(), within(t, long)
	for _, name := range []string{"n1", "w1", "w2"} {
		if !k.exists("/api/v1/nodes/" + name) {
			k.addNode(name)
		}
		k.do(http.MethodPatch, "/api/v1/nodes/"+name, thing{"spec": thing{"unschedulable": name != "w1"}}, nil)
	}
	objects := []plan.Object{
		object("v1", "Namespace", "", "busy"), deployment("busy", "web", 2, ""),
		object("policy/v1", "PodDisruptionBudget", "busy", "web-budget", thing{"spec": thing{"minAvailable": 2, "selector": thing{"matchLabels": thing{"app": "web"}}}}),
		object("apps/v1", "DaemonSet", "busy", "everywhere", thing{"spec": thing{
			"selector": thing{"matchLabels": thing{"app": "everywhere"}},
			"template": thing{"metadata": thing{"labels": thing{"app": "everywhere"}}, "spec": thing{"containers": []thing{{"name": "c", "image": "x"}}}},
		}}),
	}
	if err := c.Apply(ctx, objects, cluster.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitAvailable(ctx, objects); err != nil {
		t.Fatal(err)
	}
	if !k.exists(core + "busy/pods/static-w1") {
		static := object("v1", "Pod", "busy", "static-w1", thing{"spec": thing{"nodeName": "w1", "containers": []thing{{"name": "c", "image": "x"}}}})
		static["metadata"].(thing)["annotations"] = thing{"kubernetes.io/config.mirror": "hash"}
		k.do(http.MethodPost, core+"busy/pods", static, nil)
	}
	eventually(t, "the budget", func() error {
		var got struct {
			Status struct{ CurrentHealthy, ExpectedPods int }
		}
		k.do(http.MethodGet, "/apis/policy/v1/namespaces/busy/poddisruptionbudgets/web-budget", nil, &got)
		if got.Status.CurrentHealthy != 2 || got.Status.ExpectedPods != 2 {
			return errStatus(got.Status.CurrentHealthy)
		}
		return nil
	})
}

func testDrain(t *testing.T, k *kubernetes) {
	workload(t, k)
	c := k.client()
	drain := func(node string, o plan.Drain) func(context.Context) error {
		return func(ctx context.Context) error { _, err := c.Drain(ctx, node, o); return err }
	}
	givesUp(t, drain("w1", plan.Drain{Restore: true}), "drain node w1", "the test's deadline has passed", "2 pods are left", "pod busy/web-", "may not be evicted yet", "web-budget", "needs 2 healthy pods and has 2")
	if k.unschedulable("w1") {
		t.Error("the node stays cordoned after a drain that was to restore it")
	}
	givesUp(t, drain("w1", plan.Drain{}), "2 pods are left")
	if !k.unschedulable("w1") {
		t.Error("the node is schedulable after a drain that was not to restore it")
	}
	done := make(chan error, 1)
	var out map[string]string
	ctx := within(t, long)
	go func() {
		var err error
		out, err = c.Drain(ctx, "w1", plan.Drain{})
		done <- err
	}()
	// There is another node now, and the budget allows one pod at a time.
	k.do(http.MethodPatch, "/api/v1/nodes/w2", thing{"spec": thing{"unschedulable": nil}}, nil)
	k.do(http.MethodPatch, "/apis/policy/v1/namespaces/busy/poddisruptionbudgets/web-budget", thing{"spec": thing{"minAvailable": 1}}, nil)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if out["evicted"] != "2" || out["cordoned"] != "by slipway" {
		t.Errorf("drained: %v", out)
	}
	left := k.podsOn("w1")
	if slices.ContainsFunc(left, func(n string) bool { return strings.HasPrefix(n, "busy/web-") }) || !slices.Contains(left, "busy/static-w1") ||
		!slices.ContainsFunc(left, func(n string) bool { return strings.HasPrefix(n, "busy/everywhere-") }) {
		t.Errorf("left on the node: %v", left)
	}
	if _, err := c.Uncordon(ctx, "w1"); err != nil || k.unschedulable("w1") {
		t.Errorf("uncordoned: %v", err)
	}
}

func testDrainRefused(t *testing.T, k *kubernetes) {
	workload(t, k)
	c := k.client()
	k.addNode("w3")
	one := func(name string, spec thing) plan.Object {
		spec["nodeName"], spec["containers"], spec["terminationGracePeriodSeconds"] = "w3", []thing{{"name": "c", "image": "x"}}, 1
		return object("v1", "Pod", "busy", name, thing{"spec": spec})
	}
	k.do(http.MethodPost, core+"busy/pods", one("lonely", thing{}), nil)
	var owner struct{ Metadata struct{ UID string } }
	k.do(http.MethodGet, "/apis/apps/v1/namespaces/busy/deployments/web", nil, &owner)
	scratch := one("scratch", thing{"volumes": []thing{{"name": "v", "emptyDir": thing{}}}})
	scratch["metadata"].(thing)["ownerReferences"] = []thing{{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": owner.Metadata.UID, "controller": true}}
	k.do(http.MethodPost, core+"busy/pods", scratch, nil)
	_, err := c.Drain(within(t, long), "w3", plan.Drain{})
	says(t, err, "pod busy/lonely has no controller", "pod busy/scratch has an emptyDir volume")
	left := strings.Join(k.podsOn("w3"), " ")
	if !fault.IsTerminal(err) || !strings.Contains(left, "busy/lonely") || !strings.Contains(left, "busy/scratch") {
		t.Errorf("refused: %v; left %s", err, left)
	}
	out, err := c.Drain(within(t, long), "w3", plan.Drain{EmptyDir: plan.PodsDelete, Unmanaged: plan.PodsDelete})
	if err != nil || out["evicted"] != "2" {
		t.Errorf("drained: %v (%v)", out, err)
	}
	// A pod that does not end is named.
	hangs := one("hangs", thing{})
	hangs["metadata"].(thing)["annotations"] = thing{"test/kubelet": "hangs"}
	k.do(http.MethodPost, core+"busy/pods", hangs, nil)
	givesUp(t, func(ctx context.Context) error {
		_, err := c.Drain(ctx, "w3", plan.Drain{Unmanaged: plan.PodsDelete})
		return err
	}, "1 pods are left: pod busy/hangs is ending since")
	k.do(http.MethodDelete, core+"busy/pods/hangs", thing{"gracePeriodSeconds": 0}, nil)
}
