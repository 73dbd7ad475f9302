package templates_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway.build/slipway/controlplane/fault"
	"slipway.build/slipway/controlplane/orchestration/engine"
	"slipway.build/slipway/controlplane/orchestration/engine/fake"
	"slipway.build/slipway/controlplane/orchestration/templates"
	"slipway.build/slipway/controlplane/store"
)

var update = flag.Bool("update", false, "write the golden files anew")

func spec(t testing.TB, masters, workers int, more map[string]any) engine.Spec {
	t.Helper()
	files, err := templates.Files()
	if err != nil {
		t.Fatal(err)
	}
	params := map[string]any{
		"cluster_name": "k8s", "cluster_uuid": "c", "node_name_prefix": "k8s-abc", "master_count": masters, "node_count": workers,
		"master_flavor": "m", "flavor": "w", "image": "fcos", "keypair": "my_keypair", "external_network": "public",
		"master_nodegroup": "ng-m", "worker_nodegroup": "ng-w",
		"kube_tag": "v1.36.3",
	}
	for k, v := range more {
		params[k] = v
	}
	return engine.Spec{ID: store.NewID(), Name: "k8s-abc", Cluster: "c", Project: "p", Actor: "alice", Template: templates.Cluster, Files: files, Parameters: params, Timeout: time.Minute}
}

// make creates the stack and returns how it ended.
func create(t testing.TB, c *fake.Cloud, s engine.Spec) (*engine.Engine, engine.Result) {
	t.Helper()
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "slipway.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	e := engine.New(st, c.Type, engine.Options{})
	var fence store.Fence
	err = st.Tx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		if err := tx.Enqueue(ctx, &store.Operation{ClusterID: "c", Kind: "create"}); err != nil {
			return err
		}
		o, err := tx.ClaimOperation(ctx, "test", time.Hour)
		if err != nil {
			return err
		}
		fence = o.Fence()
		_, err = e.CreateStack(ctx, tx, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	res, err := e.Run(t.Context(), s.ID, fence)
	if err != nil {
		t.Fatal(err)
	}
	return e, res
}

// path is where the object is in the tree of stacks, without the random parts of names.
func path(stack, name string) string {
	parts := strings.Split(strings.TrimPrefix(stack, "k8s-abc"), "-")
	var out []string
	for i := 1; i+1 < len(parts); i += 2 {
		out = append(out, parts[i])
	}
	return strings.Join(append(out, name), ".")
}

func TestClusterTemplateMakesTheObjectsOfTheGolden(t *testing.T) {
	for name, s := range map[string]engine.Spec{
		"3+3":         spec(t, 3, 3, nil),
		"1+1":         spec(t, 1, 1, nil),
		"1+0-private": spec(t, 1, 0, map[string]any{"floating_ip_enabled": false, "keypair": ""}),
		"1+1-no-lb":   spec(t, 1, 1, map[string]any{"master_lb_enabled": false, "etcd_volume_size": 5, "boot_volume_size": 10}),
	} {
		t.Run(name, func(t *testing.T) {
			c := &fake.Cloud{}
			_, res := create(t, c, s)
			if res.Status != store.CreateComplete {
				t.Fatalf("%+v", res)
			}
			names := map[string]string{}
			for _, o := range c.Objects() {
				names[o.Physical] = "<" + path(o.Stack, o.Name) + ">"
			}
			var lines []string
			for _, o := range c.Objects() {
				line := fmt.Sprintf("%s %s %v", path(o.Stack, o.Name), o.Type, o.Properties)
				for physical, n := range names {
					line = strings.ReplaceAll(line, physical, n)
				}
				lines = append(lines, line)
			}
			slices.Sort(lines)
			got := strings.Join(lines, "\n") + "\n" + fmt.Sprint(res.Outputs) + "\n"
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("differs from %s (run with -update to accept):\n%s", golden, got)
			}
			if strings.Contains(got, "<nil>") {
				t.Errorf("a value is null:\n%s", got)
			}
		})
	}
}

// TestServersDoNotWait blocks one resource until all six servers were made: it would hang,
// and fail by its deadline, if a server waited for it.
func TestServersDoNotWait(t *testing.T) {
	for _, blocked := range []string{"api_lb", "api_lb_pool", "api_lb_floating", "authority_kubernetes", "api_address_floating_switch", "pods_route", "api_pool_member"} {
		t.Run("for "+blocked, func(t *testing.T) {
			t.Parallel()
			var servers sync.WaitGroup
			servers.Add(6)
			c := &fake.Cloud{Script: func(ctx context.Context, c fake.Call) error {
				switch {
				case c.Operation == fake.Create && c.Type == "OS::Nova::Server":
					servers.Done()
				case c.Operation == fake.Create && c.Name == blocked:
					servers.Wait()
				}
				return nil
			}}
			if _, res := create(t, c, spec(t, 3, 3, nil)); res.Status != store.CreateComplete {
				t.Errorf("%+v", res)
			}
		})
	}
}

func TestPlansOfWorkersDoNotWaitForMastersOrServers(t *testing.T) {
	var deployments sync.WaitGroup
	deployments.Add(6)
	c := &fake.Cloud{Script: func(ctx context.Context, c fake.Call) error {
		switch {
		case c.Operation == fake.Create && c.Type == "Slipway::Node::Deployment":
			deployments.Done()
		case c.Operation == fake.Create && c.Type == "OS::Nova::Server":
			deployments.Wait()
		case c.Operation == fake.Await && c.Type == "Slipway::Node::Deployment":
			deployments.Wait() // each is healthy only with all the others
		}
		return nil
	}}
	if _, res := create(t, c, spec(t, 3, 3, nil)); res.Status != store.CreateComplete {
		t.Errorf("%+v", res)
	}
}

func TestDeploymentsWaitForAllThatTheirPlanNeeds(t *testing.T) {
	c := &fake.Cloud{}
	create(t, c, spec(t, 3, 1, nil))
	at := map[string]int{}
	ports := 0
	for i, call := range c.Calls() {
		if call.Operation != fake.Create {
			continue
		}
		if call.Type == "OS::Neutron::Port" && strings.Contains(call.Stack, "kube_master_ports") {
			ports++
		}
		if call.Name != "master_config_deployment" {
			at[call.Name] = i
			continue
		}
		for _, name := range []string{"authority_kubernetes", "authority_etcd", "authority_front_proxy", "api_lb", "api_lb_floating", "api_address_floating_switch"} {
			if _, ok := at[name]; !ok {
				t.Errorf("a master's plan came before %s", name)
			}
		}
		if ports != 3 {
			t.Errorf("a master's plan came after %d ports of 3", ports)
		}
	}
}

func TestBadParametersAreRefused(t *testing.T) {
	e := engine.New(nil, (&fake.Cloud{}).Type, engine.Options{})
	for _, more := range []map[string]any{
		{"master_count": 2}, {"node_count": -1}, {"node_name_prefix": "K8S_a"}, {"etcd_volume_size": "big"}, {"unknown": 1},
	} {
		if err := e.Validate(spec(t, 1, 1, more)); !fault.IsTerminal(err) {
			t.Errorf("%v: %v", more, err)
		}
	}
	if err := e.Validate(spec(t, 1, 1, nil)); err != nil {
		t.Error(err)
	}
}
