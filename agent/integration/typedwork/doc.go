// Package typedwork tests the agent's typed work against a real Kubernetes API and real etcd
// members, run as processes on loopback from the images that Slipway builds. There is no kubelet:
// nodes are objects, and the test plays their kubelets. It has no code of its own.
package typedwork
