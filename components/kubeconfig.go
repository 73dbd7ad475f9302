package components

import "fmt"

// kubeconfig is how a component reaches the API: the CA is a file of its own, the key pair
// is read (and read again when renewed) from the node's pki directory.
func kubeconfig(component, server, purpose string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
  - name: cluster
    cluster:
      server: %s
      certificate-authority: %s
users:
  - name: %s
    user:
      client-certificate: %s
      client-key: %s
contexts:
  - name: cluster
    context:
      cluster: cluster
      user: %s
current-context: cluster
`, server, file(component, "kubernetes-ca.crt"), purpose, certificate(purpose), key(purpose), purpose)
}
