package components

import (
	"path"
	"strings"
	"time"

	"slipway.build/slipway/agent/plan"
)

// deadline bounds the time in which a node applies its plan.
const deadline = 10 * time.Minute

// confirm is how long a generation's units have to stay active before it counts as healthy, where
// there is one to go back to. A component that cannot live with what is around it ends within that.
const confirm = 30 * time.Second

// Master returns the complete plan of a master: etcd, the control plane of Kubernetes,
// and all that a worker has. Whoever signs it says by plan.Plan.Issue how long it may be applied. The error is in the chain of ErrFacts when facts are missing.
func Master(c Cluster, n Node) (plan.Plan, error) {
	n.Role = RoleMaster
	return render(c, n)
}

// Worker returns the complete plan of a worker.
func Worker(c Cluster, n Node) (plan.Plan, error) {
	n.Role = RoleWorker
	return render(c, n)
}

// All returns the components that node n of cluster c runs, in the order in which they are
// worth fetching: what others wait for comes first. pause is the reference of the sandbox.
func All(c Cluster, n Node, pause string) []Component {
	c = c.withDefaults()
	runtime := containerd(c, pause)
	for i, f := range runtime.Files {
		if strings.HasPrefix(f.Name, "cni/") {
			runtime.Files[i].Content = cni(c, n)
		}
	}
	var out []Component
	if n.Role == RoleMaster {
		out = append(out, etcd(c, n), kubeAPIServer(c, n), runtime, kubelet(c, n), kubeControllerManager(c, n), kubeScheduler(c, n))
	} else {
		out = append(out, runtime, kubelet(c, n))
	}
	return append(out, kubeProxy(c, n))
}

func render(c Cluster, n Node) (plan.Plan, error) {
	c = c.withDefaults()
	if err := check(c, n); err != nil {
		return plan.Plan{}, err
	}
	p := plan.Plan{
		Schema:     plan.Schema,
		Node:       plan.Node{ID: n.ID, Name: n.Name, Cluster: c.UUID, Role: string(n.Role), Address: n.Address},
		Generation: n.Generation,
		Deployment: n.Deployment,
		Lock:       c.LockDigest,
		Registries: c.Registries,
		Deadline:   plan.Duration(deadline),
		Confirm:    plan.Duration(confirm),
	}
	pause, err := c.image("pause")
	if err != nil {
		return plan.Plan{}, err
	}
	dns, err := c.image("coredns")
	if err != nil {
		return plan.Plan{}, err
	}
	pause, dns = imported(pause), imported(dns)

	for _, component := range All(c, n, pause.Import) {
		if err := add(&p, c, component); err != nil {
			return plan.Plan{}, err
		}
	}
	p.Images = append(p.Images, pause)
	p.Files = append(p.Files, plan.File{Path: "agent/kubernetes-ca.crt", Mode: "0444", Content: c.Authorities.Kubernetes})
	if n.Role == RoleMaster {
		p.Images = append(p.Images, dns)
		p.Certificates = append(p.Certificates, plan.Certificate{Name: ClusterAdmin, Purpose: ClusterAdmin, Owner: "root"})
	}
	p.Tasks = tasks(c, n, dns.Import)
	return p, nil
}

// add puts all that a component needs into the plan.
func add(p *plan.Plan, c Cluster, component Component) error {
	owner := component.User
	if owner == "" {
		owner = "root"
	}
	for _, name := range append([]string{component.Image}, component.Tools...) {
		img, err := c.image(name)
		if err != nil {
			return err
		}
		p.Images = append(p.Images, img)
	}
	for _, purpose := range component.Certificates {
		p.Certificates = append(p.Certificates, plan.Certificate{Name: purpose, Purpose: purpose, Owner: owner, Restart: restarts(purpose, component.Name)})
	}
	for _, name := range component.Secrets {
		// systemd hands secrets to units as credentials, so root alone reads the file.
		s := plan.Secret{Name: name, Version: c.SecretVersion, Owner: "root"}
		if !containsSecret(p.Secrets, s) {
			p.Secrets = append(p.Secrets, s)
		}
	}
	for _, f := range component.Files {
		p.Files = append(p.Files, plan.File{Path: path.Join(component.Name, f.Name), Mode: "0444", Content: f.Content})
	}
	p.Checks = append(p.Checks, component.Checks...)
	u, err := component.Unit(c)
	if err != nil {
		return err
	}
	p.Units = append(p.Units, u)
	return nil
}

func containsSecret(secrets []plan.Secret, s plan.Secret) bool {
	for _, have := range secrets {
		if have == s {
			return true
		}
	}
	return false
}
