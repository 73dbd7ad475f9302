package components

import (
	"slipway.build/slipway/agent/plan"
)

// tasks returns the typed work of a node: to see itself Ready, then to say what kubelet may
// not or does not say of itself; and, on the first master, the cluster's own objects.
func tasks(c Cluster, n Node, dnsImage string) []plan.Task {
	api := plan.API{Server: c.endpoint(n.Role), CA: file("agent", "kubernetes-ca.crt"), Certificate: KubeletClient}
	if n.Role == RoleMaster {
		api.Certificate = ClusterAdmin
	}
	var out []plan.Task
	if n.First {
		out = append(out,
			plan.Task{
				Name: "cluster-rbac", Kind: plan.TaskApply, After: []string{unit("kube-apiserver")},
				Deployment: c.Deployment, API: &api, Objects: clusterRBAC(),
			},
			plan.Task{
				Name: "coredns", Kind: plan.TaskApply, After: []string{unit("kube-apiserver")},
				Deployment: c.Deployment, API: &api, Objects: coreDNS(c, dnsImage), Await: true,
			},
		)
	}
	return append(out,
		plan.Task{Name: "node-ready", Kind: plan.TaskNodeReady, After: []string{unit("kubelet")}, API: &api},
		// Applied before kubelet has registered, this would make a node without its taints.
		plan.Task{Name: "node-facts", Kind: plan.TaskApply, After: []string{"node-ready"}, API: &api, Objects: []plan.Object{nodeFacts(n)}},
	)
}

// nodeFacts completes the Node object: the range of its pods, which comes from the plan and
// not from controller-manager, and the label of a role, which kubelet may not give itself.
func nodeFacts(n Node) plan.Object {
	var labels object
	if n.Role == RoleMaster {
		labels = object{"node-role.kubernetes.io/control-plane": ""}
	}
	return with(named("v1", "Node", "", n.Name, labels), object{
		"spec": object{"podCIDR": n.PodCIDR, "podCIDRs": list{n.PodCIDR}},
	})
}
