package typedwork

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"slipway.build/slipway/agent/cluster"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
)

func TestKubernetes(t *testing.T) {
	t.Parallel()
	k := newKubernetes(t)
	for _, part := range []struct {
		name string
		do   func(*testing.T, *kubernetes)
	}{
		{"objects are applied whatever their order, and awaited", testApply},
		{"a conflict is taken over or refused", testConflicts},
		{"what is not ready says why", testReasons},
		{"pruning deletes what was made and not a stranger's", testPrune},
		{"pruning keeps what others live in", testPruneInside},
		{"a cordon is taken back by whom it is from", testCordon},
		{"a drain waits for budgets", testDrain},
		{"a drain that would lose something is refused", testDrainRefused},
		{"an agent that is killed resumes to apply and to prune", testKilledApply},
		{"an agent that is killed resumes to drain", testKilledDrain},
	} {
		if !t.Run(part.name, func(t *testing.T) { k.t, k.agent.t = t, t; part.do(t, k) }) && t.Context().Err() != nil {
			break
		}
	}
	if t.Failed() {
		for _, p := range k.logs {
			t.Logf("%s:\n%s", p.name, p.tail())
		}
	}
}

const (
	core    = "/api/v1/namespaces/"
	gadgets = "/apis/test.slipway.build/v1/namespaces/"
)

func definition() plan.Object {
	return object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "gadgets.test.slipway.build", thing{"spec": thing{
		"group": "test.slipway.build", "scope": "Namespaced", "names": thing{"plural": "gadgets", "singular": "gadget", "kind": "Gadget"},
		"versions": []thing{{"name": "v1", "served": true, "storage": true, "schema": thing{"openAPIV3Schema": thing{"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}},
	}})
}

func gadget(namespace, name string) plan.Object {
	return object("test.slipway.build/v1", "Gadget", namespace, name)
}

func config(namespace, name, value string) plan.Object {
	return object("v1", "ConfigMap", namespace, name, thing{"data": thing{"a": value}})
}

func testApply(t *testing.T, k *kubernetes) {
	k.addNode("n1")
	objects := []plan.Object{
		gadget("first", "one"), // before its definition and its name space
		config("first", "settings", "1"),
		deployment("first", "web", 2, ""),
		object("apps/v1", "StatefulSet", "first", "db", thing{"spec": thing{
			"serviceName": "db", "selector": thing{"matchLabels": thing{"app": "db"}},
			"template": thing{"metadata": thing{"labels": thing{"app": "db"}}, "spec": thing{"containers": []thing{{"name": "c", "image": "x"}}}},
		}}),
		object("apps/v1", "DaemonSet", "first", "agent", thing{"spec": thing{
			"selector": thing{"matchLabels": thing{"app": "agent"}},
			"template": thing{"metadata": thing{"labels": thing{"app": "agent"}}, "spec": thing{"containers": []thing{{"name": "c", "image": "x"}}}},
		}}),
		definition(),
		object("v1", "Namespace", "", "first"),
	}
	c, ctx := k.client(), within(t, long)
	for range 2 { // twice is as good as once
		if err := c.Apply(ctx, objects, cluster.ApplyOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.AwaitAvailable(ctx, objects); err != nil {
		t.Fatal(err)
	}
	if !k.exists(gadgets + "first/gadgets/one") {
		t.Error("the object of the defined kind is not there")
	}
	if err := c.AwaitNodeReady(ctx, "n1"); err != nil {
		t.Error(err)
	}
}

func testConflicts(t *testing.T, k *kubernetes) {
	c, ctx := k.client(), within(t, long)
	k.do(http.MethodPost, core+"default/configmaps?fieldManager=somebody", config("default", "shared", "theirs"), nil)
	ours := []plan.Object{config("default", "shared", "ours")}
	err := c.Apply(ctx, ours, cluster.ApplyOptions{Refuse: true})
	says(t, err, "ConfigMap default/shared", "somebody", ".data.a")
	if !fault.IsTerminal(err) {
		t.Errorf("a refused conflict is not terminal: %v", err)
	}
	value := func() string {
		var got struct{ Data map[string]string }
		k.do(http.MethodGet, core+"default/configmaps/shared", nil, &got)
		return got.Data["a"]
	}
	if value() != "theirs" {
		t.Errorf("a refused apply left %q", value())
	}
	if err := c.Apply(ctx, ours, cluster.ApplyOptions{}); err != nil || value() != "ours" {
		t.Errorf("taken over: %v, value %q", err, value())
	}
	bad := object("v1", "ConfigMap", "default", "bad", thing{"data": thing{"a": 1}})
	if err := c.Apply(ctx, []plan.Object{bad}, cluster.ApplyOptions{}); !fault.IsTerminal(err) {
		t.Errorf("a malformed object: %v", err)
	}
}

func testReasons(t *testing.T, k *kubernetes) {
	c := k.client()
	await := func(o plan.Object, parts ...string) {
		t.Helper()
		if err := c.Apply(within(t, long), []plan.Object{o}, cluster.ApplyOptions{}); err != nil {
			t.Fatal(err)
		}
		givesUp(t, func(ctx context.Context) error { return c.AwaitAvailable(ctx, []plan.Object{o}) }, parts...)
	}
	await(deployment("default", "stuck", 1, "never"), "Deployment default/stuck", "0 of 1 replicas", "container c: ImagePullBackOff: Back-off pulling image")
	await(deployment("default", "homeless", 1, "", thing{"nodeSelector": thing{"no": "such"}}), "Unschedulable", "FailedScheduling")
	job := object("batch/v1", "Job", "default", "fails", thing{"spec": thing{"backoffLimit": 0, "template": thing{
		"metadata": thing{"annotations": thing{"test/kubelet": "never"}},
		"spec":     thing{"restartPolicy": "Never", "containers": []thing{{"name": "c", "image": "x"}}},
	}}})
	await(job, "Job default/fails", "not complete", "ImagePullBackOff")
	k.do(http.MethodPatch, "/apis/batch/v1/namespaces/default/jobs/fails", thing{"spec": thing{"activeDeadlineSeconds": 1}}, nil)
	err := c.AwaitAvailable(within(t, long), []plan.Object{job})
	says(t, err, "DeadlineExceeded")
	if !fault.IsTerminal(err) {
		t.Errorf("a job that failed is waited for: %v", err)
	}
	service := object("apiregistration.k8s.io/v1", "APIService", "", "v1.absent.slipway.build", thing{"spec": thing{
		"group": "absent.slipway.build", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 1,
		"service": thing{"name": "nobody", "namespace": "default"}, "insecureSkipTLSVerify": true,
	}})
	await(service, "APIService v1.absent.slipway.build", "ServiceNotFound")
	k.do(http.MethodDelete, "/apis/apiregistration.k8s.io/v1/apiservices/v1.absent.slipway.build", nil, nil)
	for _, name := range []string{"stuck", "homeless"} {
		k.do(http.MethodDelete, "/apis/apps/v1/namespaces/default/deployments/"+name, nil, nil)
	}
}

func testPrune(t *testing.T, k *kubernetes) {
	c, ctx := k.client(), within(t, long)
	k.do(http.MethodPost, core+"default/configmaps", config("default", "theirs", "x"), nil)
	first := []plan.Object{
		config("default", "keep", "1"), config("default", "drop", "1"), config("default", "remade", "1"),
		config("default", "theirs", "ours now"), deployment("default", "pruned", 1, ""),
		object("v1", "Namespace", "", "pruned"), config("pruned", "inner", "1"),
	}
	set := cluster.ApplyOptions{Set: "web"}
	if err := c.Apply(ctx, first, set); err != nil {
		t.Fatal(err)
	}
	// A stranger copies one of ours, label and all; another deletes one and makes it anew.
	copied := config("default", "copied", "1")
	copied["metadata"].(thing)["labels"] = thing{cluster.SetLabel: "web"}
	k.do(http.MethodPost, core+"default/configmaps", copied, nil)
	k.do(http.MethodDelete, core+"default/configmaps/remade", nil, nil)
	remade := config("default", "remade", "theirs")
	remade["metadata"].(thing)["labels"] = thing{cluster.SetLabel: "web"}
	k.do(http.MethodPost, core+"default/configmaps", remade, nil)
	second := first[:1]
	if err := c.Apply(ctx, second, set); err != nil {
		t.Fatal(err)
	}
	out, err := c.Prune(ctx, "web", second)
	if err != nil {
		t.Fatal(err)
	}
	if out["deleted"] != "4" || out["kept"] != "" {
		t.Errorf("pruned %v", out)
	}
	for path, want := range map[string]bool{
		core + "default/configmaps/keep": true, core + "default/configmaps/drop": false, core + "default/configmaps/theirs": true,
		core + "default/configmaps/copied": true, core + "default/configmaps/remade": true, core + "pruned": false,
		"/apis/apps/v1/namespaces/default/deployments/pruned": false,
	} {
		if k.exists(path) != want {
			t.Errorf("%s is there: %v", path, !want)
		}
	}
	var let struct {
		Metadata struct{ Labels map[string]string }
	}
	k.do(http.MethodGet, core+"default/configmaps/theirs", nil, &let)
	if len(let.Metadata.Labels) > 0 {
		t.Errorf("the object that was let go has labels %v", let.Metadata.Labels)
	}
	if out, err = c.Prune(ctx, "web", second); err != nil || out["deleted"] != "0" {
		t.Errorf("pruned again: %v (%v)", out, err)
	}
	if out, err = c.Prune(ctx, "web", nil); err != nil || out["deleted"] != "1" || k.exists(core+"kube-system/configmaps/slipway-set-web") {
		t.Errorf("pruned all: %v (%v)", out, err)
	}
	// What does not end is named, with what it waits for.
	held := config("default", "held", "1")
	held["metadata"].(thing)["finalizers"] = []string{"test.slipway.build/hold"}
	if err := c.Apply(ctx, []plan.Object{held}, set); err != nil {
		t.Fatal(err)
	}
	givesUp(t, func(ctx context.Context) error { _, err := c.Prune(ctx, "web", nil); return err }, "prune set web", "ConfigMap default/held waits for its finalizers test.slipway.build/hold")
	k.do(http.MethodPatch, core+"default/configmaps/held", thing{"metadata": thing{"finalizers": nil}}, nil)
	if _, err := c.Prune(ctx, "web", nil); err != nil {
		t.Error(err)
	}
}

func testPruneInside(t *testing.T, k *kubernetes) {
	c, ctx := k.client(), within(t, long)
	crd := definition()
	crd["metadata"].(thing)["name"] = "widgets.other.slipway.build"
	spec := crd["spec"].(thing)
	spec["group"], spec["names"] = "other.slipway.build", thing{"plural": "widgets", "singular": "widget", "kind": "Widget"}
	set := cluster.ApplyOptions{Set: "inside"}
	if err := c.Apply(ctx, []plan.Object{object("v1", "Namespace", "", "shared"), crd, deployment("shared", "ours", 1, "")}, set); err != nil {
		t.Fatal(err)
	}
	widget := object("other.slipway.build/v1", "Widget", "default", "tenant")
	if err := c.Apply(ctx, []plan.Object{widget}, cluster.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	k.do(http.MethodPost, core+"shared/configmaps", config("shared", "tenant", "x"), nil)
	out, err := c.Prune(ctx, "inside", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out["kept"], "Namespace shared has ConfigMap tenant") || !strings.Contains(out["kept"], "CustomResourceDefinition widgets.other.slipway.build has default/tenant") || out["deleted"] != "1" {
		t.Errorf("pruned %v", out)
	}
	if !k.exists(core+"shared/configmaps/tenant") || !k.exists("/apis/other.slipway.build/v1/namespaces/default/widgets/tenant") {
		t.Error("a tenant's object went with what it lived in")
	}
	k.do(http.MethodDelete, core+"shared/configmaps/tenant", nil, nil)
	k.do(http.MethodDelete, "/apis/other.slipway.build/v1/namespaces/default/widgets/tenant", nil, nil)
	if out, err := c.Prune(ctx, "inside", nil); err != nil || out["deleted"] != "2" || k.exists(core+"shared") {
		t.Errorf("pruned after they left: %v (%v)", out, err)
	}
}
