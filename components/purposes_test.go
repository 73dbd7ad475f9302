package components

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestSubjectDecidesWhatIsSigned(t *testing.T) {
	master, worker := testMaster(), testWorker()
	master.Role, worker.Role = RoleMaster, RoleWorker
	const client, server = x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth
	for _, c := range []struct {
		purpose   string
		node      Node
		authority Authority
		subject   string
		names     string
		usages    []x509.ExtKeyUsage
	}{
		{EtcdServer, master, EtcdCA, "k8s-master-0 []", "localhost k8s-master-0 127.0.0.1 10.0.0.10", []x509.ExtKeyUsage{server, client}},
		{EtcdPeer, master, EtcdCA, "k8s-master-0 []", "localhost k8s-master-0 127.0.0.1 10.0.0.10", []x509.ExtKeyUsage{server, client}},
		{EtcdClient, master, EtcdCA, "kube-apiserver-etcd-client []", "", []x509.ExtKeyUsage{client}},
		{
			APIServer, master, KubernetesCA, "kube-apiserver []", "localhost k8s-master-0 kubernetes kubernetes.default kubernetes.default.svc " +
				"kubernetes.default.svc.cluster.local 127.0.0.1 10.0.0.10 10.0.0.5 198.51.100.7 10.254.0.1",
			[]x509.ExtKeyUsage{server},
		},
		{APIServerKubeletClient, master, KubernetesCA, "kube-apiserver-kubelet-client []", "", []x509.ExtKeyUsage{client}},
		{FrontProxyClient, master, FrontProxyCA, "front-proxy-client []", "", []x509.ExtKeyUsage{client}},
		{ControllerManager, master, KubernetesCA, "system:kube-controller-manager []", "localhost 127.0.0.1", []x509.ExtKeyUsage{server, client}},
		{Scheduler, master, KubernetesCA, "system:kube-scheduler []", "localhost 127.0.0.1", []x509.ExtKeyUsage{server, client}},
		{ClusterAdmin, master, KubernetesCA, "slipway:cluster-admin [system:masters]", "", []x509.ExtKeyUsage{client}},
		{KubeletClient, worker, KubernetesCA, "system:node:k8s-node-0 [system:nodes]", "", []x509.ExtKeyUsage{client}},
		{KubeletServing, worker, KubernetesCA, "system:node:k8s-node-0 [system:nodes]", "k8s-node-0 10.0.0.20", []x509.ExtKeyUsage{server}},
		{KubeProxy, worker, KubernetesCA, "system:kube-proxy []", "", []x509.ExtKeyUsage{client}},
	} {
		t.Run(c.purpose, func(t *testing.T) {
			p, err := Subject(c.purpose, testCluster(), c.node)
			if err != nil {
				t.Fatal(err)
			}
			names := slices.Clone(p.DNSNames)
			for _, a := range p.Addresses {
				names = append(names, a.String())
			}
			if p.Authority != c.authority || p.Purpose != c.purpose || p.Lifetime != Lifetime || !slices.Equal(p.Usages, c.usages) {
				t.Errorf("profile %+v", p)
			}
			if got := fmt.Sprint(p.CommonName, " ", p.Organizations); got != c.subject {
				t.Errorf("subject %q, want %q", got, c.subject)
			}
			if got := strings.Join(names, " "); got != c.names {
				t.Errorf("names %q, want %q", got, c.names)
			}
		})
	}
}

func TestAWorkerMayAskForItsOwnThingsOnly(t *testing.T) {
	n := testWorker()
	n.Role = RoleWorker
	for _, purpose := range Purposes(RoleMaster) {
		_, err := Subject(purpose, testCluster(), n)
		allowed := slices.Contains([]string{KubeletClient, KubeletServing, KubeProxy}, purpose)
		if allowed != (err == nil) || err != nil && !errors.Is(err, ErrPurpose) {
			t.Errorf("%s: %v", purpose, err)
		}
	}
	if got := Purposes(RoleWorker); len(got) != 3 {
		t.Errorf("a worker's purposes: %v", got)
	}
	for _, purpose := range []string{"", "no-such", "system:masters"} {
		if _, err := Subject(purpose, testCluster(), n); !errors.Is(err, ErrPurpose) {
			t.Errorf("purpose %q: %v", purpose, err)
		}
	}
	n.Role = ""
	if _, err := Subject(KubeletClient, testCluster(), n); !errors.Is(err, ErrPurpose) {
		t.Errorf("a node without a role: %v", err)
	}
}
