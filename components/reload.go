package components

// rereads says of every purpose how whoever uses the certificate meets its renewal. All of them
// read the file again by themselves, without a restart; a purpose with none there is read at the
// start only, and the plan then names the unit to restart. What is said was read in the sources of
// the locked versions (etcd 3.6, Kubernetes 1.36).
func rereads() map[string]string {
	const (
		handshake = "etcd's transport reads certificate and key at each handshake (client/pkg/v3/transport, TLSInfo)"
		serving   = "the server's dynamic certificate controller watches the file (apiserver, dynamiccertificates)"
		client    = "client-go reads it again and closes the connections of the old one (transport, cert_rotation)"
	)
	return map[string]string{
		EtcdServer:             handshake,
		EtcdPeer:               handshake,
		EtcdClient:             handshake,
		APIServer:              serving,
		APIServerKubeletClient: client, // ReloadTLSFiles is set for it in pkg/kubelet/client
		FrontProxyClient:       "the aggregator's proxy takes it from a dynamic controller (kube-aggregator, aggregator-proxy-cert)",
		ControllerManager:      serving + "; " + client,
		Scheduler:              serving + "; " + client,
		ClusterAdmin:           "the agent reads it for each connection that a task makes",
		KubeletClient:          client,
		KubeletServing:         "kubelet watches the file (ReloadKubeletServerCertificateFile, on since 1.31)",
		KubeProxy:              client,
	}
}

// restarts returns the units to restart after a certificate of a component was renewed.
func restarts(purpose, component string) []string {
	if rereads()[purpose] != "" {
		return nil
	}
	return []string{unit(component)}
}
