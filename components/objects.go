package components

import "slipway.build/slipway/agent/plan"

// Short forms for the literals of Kubernetes objects.
type (
	object = map[string]any
	list   = []any
)

// rbacGroup is the API group of roles and bindings.
const rbacGroup = "rbac.authorization.k8s.io"

// named returns an object's head; namespace is empty for what has none.
func named(apiVersion, kind, namespace, name string, labels object) plan.Object {
	metadata := object{"name": name}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	if labels != nil {
		metadata["labels"] = labels
	}
	return plan.Object{"apiVersion": apiVersion, "kind": kind, "metadata": metadata}
}

// with sets further fields of an object.
func with(o plan.Object, fields object) plan.Object {
	for k, v := range fields {
		o[k] = v
	}
	return o
}

// clusterRoleBinding binds one subject to a cluster role.
func clusterRoleBinding(name, role string, subject object) plan.Object {
	return with(named(rbacGroup+"/v1", "ClusterRoleBinding", "", name, nil), object{
		"roleRef":  object{"apiGroup": rbacGroup, "kind": "ClusterRole", "name": role},
		"subjects": list{subject},
	})
}
