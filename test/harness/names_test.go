package harness

import "testing"

func TestCgroupsOfTheProductAreTold(t *testing.T) {
	for path, want := range map[string]bool{
		"/slip-srv-12345678":                                   true,
		"/slip-lb-12345678/payload":                            true,
		"/system.slice/slip-srv-12345678.service":              true,
		"/system.slice/slipwayd.service":                       true,
		"/slipway-agent.service":                               true,
		"/slip-srv-12345678/system.slice/slipway-etcd.service": true,
		"/":                                false,
		"/system.slice":                    false,
		"/system.slice/containerd.service": false,
		"/slipt-agent-node/system.slice/slipway-agent.service":         false,
		"/sliptcm-srv-12345678/payload/slipway-agent.service":          false,
		"/machine.slice/other.scope/system.slice/slipway-etcd.service": false,
		"/kubepods/slipway-etcd.service":                               false,
	} {
		if got := ownGroup(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

func TestMountsOfTheProductAreTold(t *testing.T) {
	s := &System{State: "/var/lib/sliptest-one"}
	for point, want := range map[string]bool{
		"/var/lib/sliptest-one":                    true,
		"/var/lib/sliptest-one/cloud/compute/root": true,
		"/var/lib/slipway/cloud":                   true,
		"/run/netns/slip-srv-12345678":             true,
		"/run/slipway":                             true,
		"/var/lib/sliptest-one-more":               false,
		"/run/netns/sliptn-net-12345678":           false,
		"/srv/slipway":                             false,
		"/":                                        false,
	} {
		if got := s.ownMount(point); got != want {
			t.Errorf("%s: %v, want %v", point, got, want)
		}
	}
}

func TestOnlyServingDaemonsAndNamedContainersAreSomebodyElses(t *testing.T) {
	s := &System{State: "/var/lib/sliptest-one"}
	for name, test := range map[string]struct {
		argv []string
		want string
	}{
		"our slipwayd":             {[]string{"/x/bin/slipwayd", "serve", "--state", "/var/lib/sliptest-one"}, ""},
		"another's slipwayd":       {[]string{"slipwayd", "serve", "--state=/var/lib/slipway", "--parallel", "1"}, "slipwayd of /var/lib/slipway"},
		"one without a flag":       {[]string{"slipwayd", "serve"}, "slipwayd of /var/lib/slipway"},
		"its help":                 {[]string{"slipwayd", "--help"}, ""},
		"our server":               {[]string{"systemd-nspawn", "--machine=slip-srv-1", "--directory=/var/lib/sliptest-one/cloud/root"}, ""},
		"another's server":         {[]string{"systemd-nspawn", "--machine=slip-srv-1", "--directory=/var/lib/slipway/cloud/root"}, "slip-srv-1 in /var/lib/slipway/cloud/root"},
		"a killed test's slipwayd": {[]string{"slipwayd", "serve", "--state", "/var/lib/sliptest-two"}, ""},
		"a killed test's server":   {[]string{"systemd-nspawn", "--machine=slip-srv-1", "--directory=/var/lib/sliptest-two/cloud/root"}, ""},
		"a container of a test":    {[]string{"systemd-nspawn", "--machine=sliptcm-srv-1", "--directory=/srv/x"}, ""},
		"a container of somebody":  {[]string{"systemd-nspawn", "--machine=web", "--directory=/srv/web"}, ""},
		"a process that has gone":  {nil, ""},
	} {
		if got := s.foreign(test.argv); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestHierarchiesOfCgroupsAreReadFromMountinfo(t *testing.T) {
	mounts := parseMounts(`22 1 0:21 / /proc rw,relatime - proc proc rw
30 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/pids rw,relatime shared:4 master:2 - cgroup cgroup rw,pids
33 30 0:29 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
34 30 0:29 / /mnt/again rw,relatime - cgroup2 cgroup2 rw
garbage
`)
	if len(mounts) != 5 || mounts[0].point != "/proc" {
		t.Errorf("mounts: %+v", mounts)
	}
	if got := hierarchies(mounts); len(got) != 2 || got[0] != "/sys/fs/cgroup/pids" || got[1] != "/sys/fs/cgroup/unified" {
		t.Errorf("hierarchies: %v", got)
	}
}
