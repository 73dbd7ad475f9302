package typedwork

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/cluster"
	"slipway.build/slipway/agent/plan"
)

// kubernetes is a real API with its controllers and scheduler, and kubelets that the test plays.
type kubernetes struct {
	t      *testing.T
	ca     *authority
	server string
	pki    string
	http   *http.Client
	logs   []*process
	agent  *agent
}

type thing = map[string]any

func newKubernetes(t *testing.T) *kubernetes {
	t.Helper()
	bin := programs(t, "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
	k := &kubernetes{t: t, ca: newAuthority(t), agent: newAgent(t), server: fmt.Sprintf("https://127.0.0.1:%d", freePort(t))}
	k.ca.trust(k.agent.plane.CA) // what plans' certificates are signed by
	admin := k.ca.pair("admin", "system:masters")
	k.pki = filepath.Dir(admin)
	k.http = &http.Client{Transport: &http.Transport{TLSClientConfig: k.ca.clientTLS(admin), ForceAttemptHTTP2: true}, Timeout: 2 * time.Minute}
	store := newMember(t, k.ca, bin, "store")
	store.start(t, "new", store)
	dir, own := t.TempDir(), k.ca.pair("kube-apiserver")
	in := func(name string) string { return filepath.Join(own, name) }
	api := start(t, dir, filepath.Join(bin, "kube-apiserver"),
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none", "--secure-port="+k.server[len("https://127.0.0.1:"):],
		"--etcd-servers="+store.client, "--etcd-cafile="+k.ca.file, "--etcd-certfile="+in("tls.crt"), "--etcd-keyfile="+in("tls.key"),
		"--tls-cert-file="+in("tls.crt"), "--tls-private-key-file="+in("tls.key"), "--client-ca-file="+k.ca.file,
		"--service-account-issuer=https://test", "--service-account-signing-key-file="+in("tls.key"), "--service-account-key-file="+in("tls.crt"),
		"--service-cluster-ip-range=10.254.0.0/24", "--authorization-mode=RBAC",
		// Nobody sets a node's conditions but the test; pods need no tokens.
		"--disable-admission-plugins=TaintNodesByCondition,ServiceAccount", "--v=0")
	config := filepath.Join(dir, "kubeconfig")
	write(t, config, fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],
"clusters":[{"name":"c","cluster":{"server":%q,"certificate-authority":%q}}],"users":[{"name":"u","user":{"client-certificate":%q,"client-key":%q}}]}`,
		k.server, k.ca.file, filepath.Join(admin, "tls.crt"), filepath.Join(admin, "tls.key")))
	k.await("/readyz", api)
	controllers := start(t, dir, filepath.Join(bin, "kube-controller-manager"), "--kubeconfig="+config, "--leader-elect=false", "--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", freePort(t)), "--concurrent-deployment-syncs=2",
		"--controllers=deployment-controller,replicaset-controller,daemonset-controller,statefulset-controller,job-controller,disruption-controller,namespace-controller,garbage-collector-controller")
	scheduler := start(t, dir, filepath.Join(bin, "kube-scheduler"), "--kubeconfig="+config, "--leader-elect=false", "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", freePort(t)))
	k.logs = []*process{api, controllers, scheduler}
	k.kubelets()
	return k
}

func (k *kubernetes) await(path string, p *process) {
	k.t.Helper()
	eventually(k.t, p.name, func() error {
		select {
		case <-p.done:
			k.t.Fatalf("%s has ended:\n%s", p.name, p.tail())
		default:
		}
		if err := k.try(http.MethodGet, path, nil, nil); err != nil {
			return fmt.Errorf("%w\n%s", err, p.tail())
		}
		return nil
	})
}

// errStatus is the code of a refusal.
type errStatus int

func (e errStatus) Error() string { return fmt.Sprintf("status %d", int(e)) }

// try sends a request as the administrator. A PATCH is a merge patch.
func (k *kubernetes) try(method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(k.t.Context(), method, k.server+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	resp, err := k.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %w: %s", method, path, errStatus(resp.StatusCode), raw)
	}
	if out == nil || path == "/readyz" {
		return nil
	}
	return json.Unmarshal(raw, out)
}

func (k *kubernetes) do(method, path string, in, out any) {
	k.t.Helper()
	if err := k.try(method, path, in, out); err != nil {
		k.t.Fatal(err)
	}
}

// exists reports whether there is an object at a path.
func (k *kubernetes) exists(path string) bool {
	k.t.Helper()
	err := k.try(http.MethodGet, path, nil, nil)
	var status errStatus
	if err != nil && (!errors.As(err, &status) || status != http.StatusNotFound) {
		k.t.Fatal(err)
	}
	return err == nil
}

// client returns the agent's client.
func (k *kubernetes) client() *cluster.Client {
	c := cluster.New(plan.API{Server: k.server, CA: k.ca.file, Certificate: "admin"}, k.pki)
	k.t.Cleanup(c.Close)
	return c
}

// addNode makes a node with room for pods.
func (k *kubernetes) addNode(name string) {
	k.t.Helper()
	room := thing{"cpu": "8", "memory": "32Gi", "pods": "110"}
	k.do(http.MethodPost, "/api/v1/nodes", thing{
		"metadata": thing{"name": name, "labels": thing{"kubernetes.io/hostname": name}},
		"status": thing{"capacity": room, "allocatable": room, "conditions": []thing{
			{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "played by the test", "lastHeartbeatTime": now(), "lastTransitionTime": now()},
		}},
	}, nil)
}

func now() string { return time.Now().UTC().Format(time.RFC3339) }

// pod is what the kubelets look at.
type pod struct {
	Metadata struct {
		Name, Namespace, DeletionTimestamp string
		Annotations                        map[string]string
	}
	Spec   struct{ NodeName string }
	Status struct{ Phase string }
}

func (k *kubernetes) pods() []pod {
	var list struct{ Items []pod }
	if err := k.try(http.MethodGet, "/api/v1/pods", nil, &list); err != nil {
		return nil
	}
	return list.Items
}

// kubelets plays the nodes' kubelets: what is bound runs and is ready at once, what is to end has
// ended at once. The annotation test/kubelet is "never" for a pod whose image does not come, and
// "hangs" for one that does not end.
func (k *kubernetes) kubelets() {
	ctx, cancel := context.WithCancel(k.t.Context())
	ended := make(chan struct{})
	k.t.Cleanup(func() { cancel(); <-ended })
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			for _, p := range k.pods() {
				k.kubelet(p)
			}
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
}

func (k *kubernetes) kubelet(p pod) {
	path := "/api/v1/namespaces/" + p.Metadata.Namespace + "/pods/" + p.Metadata.Name
	acts := p.Metadata.Annotations["test/kubelet"]
	switch {
	case p.Spec.NodeName == "":
	case p.Metadata.DeletionTimestamp != "" && acts != "hangs":
		_ = k.try(http.MethodDelete, path, thing{"gracePeriodSeconds": 0}, nil)
	case p.Metadata.DeletionTimestamp != "" || p.Status.Phase != "Pending":
	case acts == "never":
		_ = k.try(http.MethodPatch, path+"/status", thing{"status": thing{
			"conditions": []thing{{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}},
			"containerStatuses": []thing{{"name": "c", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
				"state": thing{"waiting": thing{"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}}},
		}}, nil)
	default:
		_ = k.try(http.MethodPatch, path+"/status", thing{"status": thing{
			"phase": "Running", "conditions": []thing{{"type": "Ready", "status": "True", "lastTransitionTime": now()}},
		}}, nil)
	}
}

// podsOn names the pods that are bound to a node, except those that are ending.
func (k *kubernetes) podsOn(node string) []string {
	k.t.Helper()
	var names []string
	for _, p := range k.pods() {
		if p.Spec.NodeName == node && p.Metadata.DeletionTimestamp == "" {
			names = append(names, p.Metadata.Namespace+"/"+p.Metadata.Name)
		}
	}
	return names
}

func object(version, kind, namespace, name string, more ...thing) plan.Object {
	metadata := thing{"name": name}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	out := plan.Object{"apiVersion": version, "kind": kind, "metadata": metadata}
	for _, m := range more {
		for key, value := range m {
			out[key] = value
		}
	}
	return out
}

// deployment returns a Deployment whose pods the kubelets treat as acts says.
func deployment(namespace, name string, replicas int, acts string, spec ...thing) plan.Object {
	template := thing{"containers": []thing{{"name": "c", "image": "registry.invalid/x"}}, "terminationGracePeriodSeconds": 1}
	for _, m := range spec {
		for key, value := range m {
			template[key] = value
		}
	}
	labels := thing{"app": name}
	return object("apps/v1", "Deployment", namespace, name, thing{"spec": thing{
		"replicas": replicas, "selector": thing{"matchLabels": labels},
		"template": thing{"metadata": thing{"labels": labels, "annotations": thing{"test/kubelet": acts}}, "spec": template},
	}})
}

func says(t *testing.T, err error, parts ...string) {
	t.Helper()
	if missing := unsaid(err, parts); missing != "" {
		t.Errorf("error %v\ndoes not say %q", err, missing)
	}
}

func unsaid(err error, parts []string) string {
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			return part
		}
	}
	return ""
}

// givesUp does something that cannot succeed, with ever later deadlines, until its error says all
// the parts: how long it takes to find the reasons is not what is tested.
func givesUp(t *testing.T, do func(context.Context) error, parts ...string) {
	t.Helper()
	var err error
	for limit := time.Second; limit < 2*time.Minute; limit *= 2 {
		ctx, cancel := context.WithTimeoutCause(t.Context(), limit, errors.New("the test's deadline has passed"))
		err = do(ctx)
		cancel()
		if err == nil || unsaid(err, parts) == "" {
			break
		}
	}
	says(t, err, parts...)
}
