package component

// cloudProvider are the images that connect a cluster to OpenStack. The cloud controller manager
// follows Kubernetes' minor; the others serve all of them.
func cloudProvider() []Recipe {
	return []Recipe{
		openstack("v1.36.0", "openstack-cloud-controller-manager", "1.36"),
		openstack("v1.36.0", "k8s-keystone-auth"),
		openstack("v1.36.0", "magnum-auto-healer"),
		cinder(),
		openstack("v1.35.0", "openstack-cloud-controller-manager", "1.35"),
		openstack("v1.34.1", "openstack-cloud-controller-manager", "1.34"),
	}
}

// openstack is one command of k8s.io/cloud-provider-openstack, stamped as upstream does.
func openstack(version, command string, kubernetes ...string) Recipe {
	const module = "k8s.io/cloud-provider-openstack"
	return Recipe{
		Image:    command,
		Version:  version,
		Source:   "cloud-provider-openstack/" + version,
		Module:   module,
		Programs: []Program{{module + "/cmd/" + command, "usr/bin/" + command}},
		Tags:     []string{"grpcnotrace"},
		Stamps: []string{
			"k8s.io/component-base/version.gitVersion=${version}",
			module + "/pkg/version.Version=${version}",
		},
		Kubernetes: kubernetes,
	}
}

// cinder makes file systems on volumes and mounts them, with the programs of its own image: the
// node's are not in a pod's reach. The list is what k8s.io/mount-utils and the plugin execute.
func cinder() Recipe {
	r := openstack("v1.36.0", "cinder-csi-plugin")
	r.System = &System{
		Why: "it formats, checks, grows and mounts volumes with the programs of e2fsprogs, xfsprogs, mount, util-linux and udev",
		Packages: []string{
			"e2fsprogs", "libblkid1", "libc6", "libcap2", "libcom-err2", "libext2fs2", "libinih1",
			"libdevmapper1.02.1", "libkmod2", "liblzma5", "libmount1", "libpcre2-8-0", "libselinux1", "libsmartcols1", "libss2", "libssl3",
			"libtinfo6", "libudev1", "liburcu8", "libuuid1", "libzstd1", "mount", "udev", "util-linux", "xfsprogs", "libacl1", "libedit2", "libbsd0", "libmd0",
		},
		Take: []string{
			"etc/mke2fs.conf", "usr/bin/dmesg", "usr/bin/findmnt", "usr/bin/lsblk", "usr/bin/mount", "usr/bin/udevadm", "usr/bin/umount",
			"usr/sbin/blkid", "usr/sbin/blockdev", "usr/sbin/dumpe2fs", "usr/sbin/e2fsck", "usr/sbin/fsck", "usr/sbin/fsck.ext[234]",
			"usr/sbin/fstrim", "usr/sbin/mke2fs", "usr/sbin/mkfs", "usr/sbin/mkfs.ext[234]", "usr/sbin/mkfs.xfs", "usr/sbin/resize2fs",
			"usr/sbin/tune2fs", "usr/sbin/xfs_growfs", "usr/sbin/xfs_io", "usr/sbin/xfs_repair",
		},
		Links:       map[string]string{"etc/mtab": "../proc/self/mounts"}, // resize2fs reads it
		Directories: []string{"dev", "proc", "run", "sys", "tmp"},
	}
	return r
}
