package verifier_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"slipway.build/slipway/components"
	"slipway.build/slipway/imagebuild/layout/layouttest"
	"slipway.build/slipway/imagebuild/verifier"
)

// images is what kubelet pulls by.
func (r runtime) images(t *testing.T) cri.ImageServiceClient {
	t.Helper()
	c, err := grpc.NewClient("unix://"+r.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return cri.NewImageServiceClient(c)
}

// reach says of a registry that it speaks plain HTTP, as an operator does.
func (r runtime) reach(t *testing.T, registry string) {
	t.Helper()
	dir := filepath.Join(r.hosts, registry)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "hosts.toml"), []byte("server = \"http://"+registry+"\"\n"))
}

// TestKubeletsPullsObeyTheLabel pulls through CRI from a containerd that runs with the configuration and the policy of a
// worker's plan.
func TestKubeletsPullsObeyTheLabel(t *testing.T) {
	needRoot(t)
	f, swapped := layouttest.New(t), foreign(t)
	n := node(t, f, "")
	good, evil := serve(t, f.Dir), serve(t, swapped.Dir)
	other := swapped.Lock.ByName("a")[0].Index
	for mode, tenant := range map[components.VerificationMode]string{
		components.VerifyScoped:  "",
		components.VerifyEnforce: "the strict policy does not allow " + evil + "/team/app",
	} {
		t.Run(string(mode), func(t *testing.T) {
			policy := filepath.Join(t.TempDir(), "image-policy.json")
			put(t, policy, []byte(rendered(t, components.Verification{Mode: mode}, f.Lock)["image-policy.json"]))
			verifiers, _, _ := entry(t, n, policy)
			r := daemon(t, mode, f.Lock, verifiers)
			r.reach(t, good)
			r.reach(t, evil)
			images := r.images(t)
			for _, c := range []struct{ what, name, want string }{
				{"an image of the lock", good + "/slipway/a:v1.0.0", ""},
				{"another of the lock, by digest", good + "/slipway/b@" + f.Lock.ByName("b")[0].Index, ""},
				{"other bytes of the same repository", evil + "/slipway/a:v1.0.0", other + " is in no lock that counts here (baked lock 7); images of slipway must be"},
				{"a tenant's image", evil + "/team/app:v1", tenant},
			} {
				spec := &cri.ImageSpec{Image: c.name}
				_, err := images.PullImage(t.Context(), &cri.PullImageRequest{Image: spec})
				if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: %v", c.what, err)
				}
				status, err := images.ImageStatus(t.Context(), &cri.ImageStatusRequest{Image: spec})
				if err != nil || (status.Image != nil) != (c.want == "") {
					t.Errorf("%s: containerd has %v, %v", c.what, status.GetImage(), err)
				}
			}
		})
	}
}

func TestTheVerifierReadsThePoliciesOfPlans(t *testing.T) {
	f := layouttest.New(t)
	for mode, v := range map[string]components.Verification{
		"scoped": {Mode: components.VerifyScoped},
		"enforce": {Mode: components.VerifyEnforce, Allow: []string{
			"registry.example.org/team", "10.0.0.1:5000", "[fd00::1]:5000/a-b/c__d"}},
	} {
		p, err := verifier.ParsePolicy([]byte(rendered(t, v, f.Lock)["image-policy.json"]))
		if err != nil || p.Strict != (mode == "enforce") || len(p.Scopes) != 1 || p.Scopes[0] != "slipway" || len(p.Allow) != len(v.Allow) {
			t.Errorf("%s: %+v, %v", mode, p, err)
		}
		if _, err := components.ParseVerification(mode, strings.Join(v.Allow, ",")); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

func TestThePlansPolicyCountsBeforeTheNodesOwn(t *testing.T) {
	f := layouttest.New(t)
	n := node(t, f, `{"strict":true}`)
	for _, c := range []struct {
		plan   string
		strict bool
	}{{"", true}, {`{"scopes":["slipway"]}`, false}} {
		if c.plan != "" {
			put(t, n.Policies[0], []byte(c.plan))
		}
		v, err := n.Load()
		if err != nil || v.Policy.Strict != c.strict {
			t.Errorf("plan %q: %v, %v", c.plan, v, err)
		}
	}
	put(t, n.Policies[0], []byte("{"))
	if _, err := n.Load(); err == nil {
		t.Error("a policy of the plan that is none was passed over")
	}
}
