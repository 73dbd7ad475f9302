package components

import (
	"path"

	"slipway.build/slipway/agent/plan"
)

const containerdSocket = "/run/containerd/containerd.sock"

// toolRoot is where the files of an image are that another component uses as a tool.
func toolRoot(image string) string { return path.Join(plan.Current, "roots", image) }

// containerd is the runtime of pods, and of nothing else: no component depends on it but
// kubelet. Its shim and the network plugins are images of their own; runc is the node OS's.
// KillMode=process leaves pods running while containerd restarts.
func containerd(c Cluster, pause string) Component {
	const name = "containerd"
	configuration, policy, needs := c.Verification.files(c.Lock)
	files := append([]File{
		{"config.toml", containerdConfiguration(pause) + configuration},
		{"cni/10-slipway.conflist", ""}, // filled by cni
	}, policy...)
	return Component{
		Name: name, Description: "containerd, the runtime of pods",
		Image: name, Binary: "usr/bin/containerd",
		Tools:       []string{"containerd-shim", "cni"},
		Args:        []string{"--config=" + file(name, "config.toml")},
		Env:         []string{"PATH=" + toolRoot("containerd-shim") + "/usr/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Files:       files,
		Needs:       needs,
		Directories: name,
		Service:     [][2]string{{"Delegate", "yes"}, {"KillMode", "process"}, {"CPUWeight", "200"}, {"TasksMax", "infinity"}},
		Ready:       ready("grpc+unix://"+containerdSocket, ""),
		Live:        alive("grpc+unix://"+containerdSocket, ""),
	}
}

// containerdConfiguration names the sandbox image by digest; it was imported by the agent, so
// nothing is ever pulled for it. Without CAP_SYS_RESOURCE, as in a container, a negative
// oom_score_adj is refused by the kernel: restrict_oom_score_adj keeps such pods startable.
// What this runtime never uses is switched off, which also makes it start sooner.
// How a registry is reached (a mirror, a CA, plain HTTP) is the operator's to say in
// /etc/containerd/certs.d/<host>/hosts.toml, read at every pull. That is containerd's default
// too, but its default is a list of two directories, which 2.4.2 takes for the name of one.
func containerdConfiguration(pause string) string {
	return `version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.internal.v1.tracing", "io.containerd.nri.v1.nri",
]

[grpc]
  address = "` + containerdSocket + `"

[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  enable_selinux = false

  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["` + toolRoot("cni") + `/usr/lib/cni"]
    conf_dir = "` + file("containerd", "cni") + `"

  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"

    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = "/usr/sbin/runc"
        SystemdCgroup = false

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"

  [plugins."io.containerd.cri.v1.images".registry]
    config_path = "/etc/containerd/certs.d"

  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "` + pause + `"
`
}
