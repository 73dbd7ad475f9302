package components

import "strconv"

// kubeAPIServer serves the Kubernetes API on the node, for the node itself and, through the
// load balancer, for everybody else.
//
// It talks to the etcd member of its own node and to no other. With all members listed its
// client would spread requests over them, and one member that hangs or whose node is cut off
// would stall a part of the requests of every API server until keepalives give up (half a
// minute). So a fault stays on its node: there the API server is not ready, the load balancer
// leaves it out, and the others notice nothing.
//
// Ready leaves one thing out: that the bootstrap roles are written. The server waits a second
// before it begins with them and then writes some 130 objects, which is work on the cluster's
// data and not a state of the process. Kubelets need none of it (node authorizer) and start in
// that time. The load balancer asks for the whole of /readyz.
func kubeAPIServer(c Cluster, n Node) Component {
	const name = "kube-apiserver"
	ca := file(name, "kubernetes-ca.crt")
	issuer := "https://kubernetes.default.svc." + c.DNSDomain
	p := Component{
		Name: name, Description: "Kubernetes API server",
		Image: name, Binary: "usr/bin/kube-apiserver", User: "slip-apiserver",
		After: []string{unit("etcd")},
		Args: []string{
			"--advertise-address=" + n.Address,
			"--secure-port=" + strconv.Itoa(c.APIPort),
			"--tls-cert-file=" + certificate(APIServer),
			"--tls-private-key-file=" + key(APIServer),
			"--tls-min-version=VersionTLS12",
			"--etcd-servers=https://127.0.0.1:" + etcdClientPort,
			"--etcd-cafile=" + file(name, "etcd-ca.crt"),
			"--etcd-certfile=" + certificate(EtcdClient),
			"--etcd-keyfile=" + key(EtcdClient),
			"--encryption-provider-config=" + credential(name, SecretEncryptionConfig),
			"--client-ca-file=" + ca,
			"--authentication-config=" + file(name, "authentication.yaml"),
			"--authorization-mode=Node,RBAC,ABAC",
			"--authorization-policy-file=" + file(name, "health-policy.jsonl"),
			"--enable-admission-plugins=NodeRestriction",
			"--allow-privileged=true",
			"--service-cluster-ip-range=" + c.ServiceCIDR,
			"--service-account-issuer=" + issuer,
			"--service-account-signing-key-file=" + credential(name, SecretServiceAccountKey),
			"--service-account-key-file=" + credential(name, SecretServiceAccountKey),
			"--kubelet-certificate-authority=" + ca,
			"--kubelet-client-certificate=" + certificate(APIServerKubeletClient),
			"--kubelet-client-key=" + key(APIServerKubeletClient),
			"--kubelet-preferred-address-types=InternalIP",
			"--requestheader-client-ca-file=" + file(name, "front-proxy-ca.crt"),
			"--requestheader-allowed-names=front-proxy-client",
			"--requestheader-username-headers=X-Remote-User",
			"--requestheader-group-headers=X-Remote-Group",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--proxy-client-cert-file=" + certificate(FrontProxyClient),
			"--proxy-client-key-file=" + key(FrontProxyClient),
			"--profiling=false",
		},
		Certificates: []string{APIServer, EtcdClient, APIServerKubeletClient, FrontProxyClient},
		Secrets:      []string{SecretServiceAccountKey, SecretEncryptionConfig},
		Files: []File{
			{"kubernetes-ca.crt", c.Authorities.Kubernetes},
			{"etcd-ca.crt", c.Authorities.Etcd},
			{"front-proxy-ca.crt", c.Authorities.FrontProxy},
			{"authentication.yaml", authentication},
			{"health-policy.jsonl", healthPolicy},
		},
		Ports:    []Port{{c.APIPort, "node", "the Kubernetes API"}},
		Families: []string{"AF_NETLINK"},
		Limits:   Limits{MemoryMiB: n.memory(3072, 60), Tasks: 4096, CPUWeight: 300},
	}
	p.Ready = ready(loopbackURL("https", c.APIPort, "/readyz?"+bootstrapRoles), ca)
	p.Live = alive(loopbackURL("https", c.APIPort, "/livez?exclude=etcd&"+bootstrapRoles), ca)
	return p
}

// bootstrapRoles leaves the writing of Kubernetes' own roles out of a question for health.
const bootstrapRoles = "exclude=poststarthook/rbac/bootstrap-roles"

// authentication lets nobody in without a certificate or token but to the health endpoints,
// which the load balancer and the unit's own probe ask.
const authentication = `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
anonymous:
  enabled: true
  conditions:
    - path: /livez
    - path: /readyz
    - path: /healthz
`

// healthPolicy allows everybody the health endpoints, and nothing else. Without it the right
// to ask stands in the roles that the server itself writes to etcd on its first start: until
// then, and whenever somebody deletes that binding, the watchdog and every load balancer would
// hear "forbidden" and take the API away.
const healthPolicy = `{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"group":"system:unauthenticated","readonly":true,"nonResourcePath":"/livez"}}
{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"group":"system:unauthenticated","readonly":true,"nonResourcePath":"/readyz"}}
{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"group":"system:unauthenticated","readonly":true,"nonResourcePath":"/healthz"}}
`
