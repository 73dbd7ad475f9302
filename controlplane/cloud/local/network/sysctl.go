package network

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// setting is one kernel parameter in dotted form.
type setting struct{ name, value string }

// routerSettings make a namespace a router that neither redirects hosts nor judges sources by
// their route (pods and floating IPs are asymmetric), with bridged IPv4 frames passing the inet hooks
// and without IPv6.
var routerSettings = []setting{
	{"net.ipv4.ip_forward", "1"},
	{"net.ipv4.conf.all.rp_filter", "0"},
	{"net.ipv4.conf.default.rp_filter", "0"},
	{"net.ipv4.conf.all.send_redirects", "0"},
	{"net.ipv4.conf.default.send_redirects", "0"},
	{"net.ipv4.conf.all.accept_redirects", "0"},
	{"net.ipv4.conf.default.accept_redirects", "0"},
	{"net.ipv4.conf.default.arp_notify", "1"},
	{"net.ipv6.conf.all.disable_ipv6", "1"},
	{"net.ipv6.conf.default.disable_ipv6", "1"},
	{"net.bridge.bridge-nf-call-iptables", "1"},
	{"net.bridge.bridge-nf-call-arptables", "0"},
}

func sysctlPath(name string) string {
	return filepath.Join("/proc/sys", strings.ReplaceAll(name, ".", "/"))
}

// set writes kernel parameters of the network namespace that the calling thread is in. Only
// IPv6's may be missing, on a kernel without it.
func set(settings []setting) error {
	for _, s := range settings {
		err := os.WriteFile(sysctlPath(s.name), []byte(s.value), 0)
		if os.IsNotExist(err) && strings.HasPrefix(s.name, "net.ipv6.") {
			continue
		}
		if os.IsNotExist(err) && strings.HasPrefix(s.name, "net.bridge.") {
			return fmt.Errorf("set %s: the kernel's module br_netfilter is not loaded: modprobe br_netfilter", s.name)
		}
		if err != nil {
			return fmt.Errorf("set %s: %w", s.name, err)
		}
	}
	return nil
}

// isOn reads a kernel parameter that is on or off.
func isOn(name string) (bool, error) {
	data, err := os.ReadFile(sysctlPath(name))
	return strings.TrimSpace(string(data)) != "0", err
}
