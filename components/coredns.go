package components

import (
	"strings"

	"slipway.build/slipway/agent/plan"
)

// corednsPort is above 1024, so that CoreDNS needs no capability.
const corednsPort = 10053

// coreDNS returns the objects of the cluster's name service. Two replicas run on masters, on
// two of them where there are more than one, so names resolve before the first worker is
// there. The image was imported by the masters' agents and is never pulled.
func coreDNS(c Cluster, image string) []plan.Object {
	const namespace, name = "kube-system", "coredns"
	selector := object{"k8s-app": "kube-dns"}
	labels := object{"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"}
	spread := object{
		"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
		"labelSelector": object{"matchLabels": selector},
	}
	if len(c.Masters) > 1 {
		// The second replica waits for a second master instead of joining the first.
		spread["minDomains"] = 2
	}
	probe := func(path string, port, period, failures int) object {
		return object{
			"httpGet":       object{"path": path, "port": port, "scheme": "HTTP"},
			"periodSeconds": period, "timeoutSeconds": 5, "failureThreshold": failures,
		}
	}
	return []plan.Object{
		named("v1", "ServiceAccount", namespace, name, nil),
		with(named(rbacGroup+"/v1", "ClusterRole", "", "system:coredns", nil), object{"rules": list{
			object{"apiGroups": list{""}, "resources": list{"endpoints", "services", "pods", "namespaces"}, "verbs": list{"list", "watch"}},
			object{"apiGroups": list{"discovery.k8s.io"}, "resources": list{"endpointslices"}, "verbs": list{"list", "watch"}},
		}}),
		clusterRoleBinding("system:coredns", "system:coredns", object{"kind": "ServiceAccount", "name": name, "namespace": namespace}),
		with(named("v1", "ConfigMap", namespace, name, nil), object{"data": object{"Corefile": corefile(c)}}),
		with(named("v1", "Service", namespace, "kube-dns", labels), object{"spec": object{
			"clusterIP": c.DNSServiceIP, "selector": selector,
			"ports": list{
				object{"name": "dns", "port": 53, "protocol": "UDP", "targetPort": corednsPort},
				object{"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": corednsPort},
				object{"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
			},
		}}),
		with(named("apps/v1", "Deployment", namespace, name, labels), object{"spec": object{
			"replicas": 2,
			"strategy": object{"type": "RollingUpdate", "rollingUpdate": object{"maxUnavailable": 1}},
			"selector": object{"matchLabels": selector},
			"template": object{
				"metadata": object{"labels": selector},
				"spec": object{
					"serviceAccountName": name,
					"priorityClassName":  "system-cluster-critical",
					"dnsPolicy":          "Default",
					// On masters alone: their image store holds it, so a worker has nothing to fetch for it,
					// and a worker that goes away takes no DNS with it.
					"nodeSelector":                  object{"node-role.kubernetes.io/control-plane": ""},
					"topologySpreadConstraints":     list{spread},
					"terminationGracePeriodSeconds": 10,
					"tolerations": list{
						object{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule", "operator": "Exists"},
						object{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "operator": "Exists", "tolerationSeconds": 30},
						object{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "operator": "Exists", "tolerationSeconds": 30},
					},
					"containers": list{object{
						"name": name, "image": image, "imagePullPolicy": "Never",
						"command": list{"/usr/bin/coredns"},
						"args":    list{"-conf", "/etc/coredns/Corefile"},
						"ports": list{
							object{"name": "dns", "containerPort": corednsPort, "protocol": "UDP"},
							object{"name": "dns-tcp", "containerPort": corednsPort, "protocol": "TCP"},
							object{"name": "metrics", "containerPort": 9153, "protocol": "TCP"},
						},
						"resources": object{"limits": object{"memory": "170Mi"}, "requests": object{"cpu": "100m", "memory": "70Mi"}},
						"securityContext": object{
							"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
							"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532,
							"capabilities":   object{"drop": list{"ALL"}},
							"seccompProfile": object{"type": "RuntimeDefault"},
						},
						"livenessProbe":  probe("/health", 8080, 10, 5),
						"readinessProbe": probe("/ready", 8181, 1, 3),
						"volumeMounts":   list{object{"name": "config", "mountPath": "/etc/coredns", "readOnly": true}},
					}},
					"volumes": list{object{"name": "config", "configMap": object{
						"name": name, "items": list{object{"key": "Corefile", "path": "Corefile"}},
					}}},
				},
			},
		}}),
	}
}

// corefile answers for the cluster's domain and for reverse names, and forwards the rest.
func corefile(c Cluster) string {
	upstream := "/etc/resolv.conf"
	if len(c.UpstreamDNS) > 0 {
		upstream = strings.Join(c.UpstreamDNS, " ")
	}
	return `.:10053 {
    errors
    health :8080 {
        lameduck 5s
    }
    ready :8181
    kubernetes ` + c.DNSDomain + ` in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
    prometheus :9153
    forward . ` + upstream + ` {
        max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
`
}
