package component

// calicoModule is where all of Calico is.
const calicoModule = "github.com/projectcalico/calico"

// calico is the pod network.
func calico() []Recipe {
	node := calicoImage("calico-node", Program{calicoModule + "/node/cmd/calico-node", "usr/bin/calico-node"})
	node.Stamps = []string{
		calicoModule + "/node/pkg/lifecycle/startup.VERSION=${version}",
		calicoModule + "/node/buildinfo.GitVersion=${version}",
		calicoModule + "/felix/buildinfo.GitVersion=${version}",
		calicoModule + "/confd/pkg/buildinfo.GitVersion=${version}",
	}
	node.System = nodeSystem()
	node.Entrypoint = []string{"/usr/sbin/start_runit"}
	node.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "SVDIR=/etc/service/enabled"}
	cni := calicoImage("calico-cni",
		Program{calicoModule + "/cni-plugin/cmd/calico", "opt/cni/bin/calico"},
		Program{calicoModule + "/cni-plugin/cmd/calico", "opt/cni/bin/calico-ipam"},
		Program{calicoModule + "/cni-plugin/cmd/install", "opt/cni/bin/install"})
	cni.Entrypoint = []string{"/opt/cni/bin/install"}
	controllers := calicoImage("calico-kube-controllers",
		Program{calicoModule + "/kube-controllers/cmd/check-status", "usr/bin/check-status"},
		Program{calicoModule + "/kube-controllers/cmd/kube-controllers", "usr/bin/kube-controllers"})
	controllers.Entrypoint, controllers.User = []string{"/usr/bin/kube-controllers"}, "999"
	return []Recipe{node, cni, controllers}
}

// calicoImage is an image of Calico 3.28.5. Its module has no tags that the module proxy knows;
// the pseudo-version names the commit of that release.
func calicoImage(name string, programs ...Program) Recipe {
	return Recipe{
		Image:         name,
		Version:       "v3.28.5",
		Source:        "calico",
		Module:        calicoModule,
		ModuleVersion: "v1.11.0-cni-plugin.0.20250813170300-a0db560f0520",
		Programs:      programs,
		Stamps:        []string{"main.VERSION=${version}"},
	}
}
