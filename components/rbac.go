package components

import "slipway.build/slipway/agent/plan"

// clusterRBAC is what Kubernetes' bootstrap policy leaves to the installer. Kubelets need
// nothing (node authorizer), kube-proxy and the control plane's own users are bound already.
func clusterRBAC() []plan.Object {
	return []plan.Object{
		// The API server asks kubelets for logs, exec and metrics with this certificate.
		clusterRoleBinding("slipway:kube-apiserver-kubelet-client", "system:kubelet-api-admin",
			object{"apiGroup": rbacGroup, "kind": "User", "name": "kube-apiserver-kubelet-client"}),
	}
}
