package loadbalancer_test

import (
	"sync"
	"testing"
	"time"
)

// BenchmarkClusterNetwork makes what a cluster of three masters and three workers needs before
// its servers: network, subnet, router, two security groups, six ports, a load balancer with
// listener, pool, monitor and three members, and a floating IP; side by side as the graph
// allows. It reports where the time goes, in milliseconds.
func BenchmarkClusterNetwork(b *testing.B) {
	s := emptySite(b)
	ca := newAuthority(b)
	for b.Loop() {
		start := time.Now()
		lap := func(name string) { b.ReportMetric(float64(time.Since(start).Microseconds())/1000, name+"-ms") }
		var net, subnet, router, workers, masters resource
		var made []resource
		var mu sync.Mutex
		create := func(kind string, p map[string]any) resource {
			r := s.create(kind, p)
			mu.Lock()
			made = append(made, r)
			mu.Unlock()
			return r
		}
		var parts sync.WaitGroup
		parts.Go(func() {
			net = create("Neutron::Net", nil)
			subnet = create("Neutron::Subnet", map[string]any{"network": net.Physical, "cidr": "10.0.0.0/24"})
		})
		parts.Go(func() { router = create("Neutron::Router", map[string]any{"external_network": "public"}) })
		parts.Go(func() {
			workers = create("Neutron::SecurityGroup", map[string]any{"rules": []any{map[string]any{"remote_group": "self"}}})
			masters = create("Neutron::SecurityGroup", map[string]any{"rules": []any{
				map[string]any{"remote_group": "self"}, map[string]any{"protocol": "tcp", "port_range_min": 6443, "remote_group": workers.Physical}}})
		})
		parts.Wait()
		lap("subnet")
		var addresses [6]string
		var ports sync.WaitGroup
		for i := range 6 {
			ports.Go(func() {
				group := masters
				if i >= 3 {
					group = workers
				}
				addresses[i] = create("Neutron::Port", map[string]any{"network": net.Physical, "subnet": subnet.Physical,
					"security_groups": []any{group.Physical}, "allowed_address_pairs": []any{"10.100.0.0/16"}}).Attributes["fixed_ip"].(string)
			})
		}
		var rest sync.WaitGroup
		rest.Go(func() {
			create("Neutron::RouterInterface", map[string]any{"router": router.Physical, "subnet": subnet.Physical})
		})
		rest.Go(func() {
			lb := create("Octavia::LoadBalancer", map[string]any{"subnet": subnet.Physical})
			lap("balancer")
			rest.Go(func() {
				create("Neutron::FloatingIP", map[string]any{"external_network": "public", "port": lb.Attributes["vip_port"]})
				lap("floating-ip")
			})
			listener := create("Octavia::Listener", map[string]any{"loadbalancer": lb.Physical, "protocol_port": 6443})
			pool := create("Octavia::Pool", map[string]any{"listener": listener.Physical, "backend_ca": ca.pem})
			lap("pool")
			rest.Go(func() {
				create("Octavia::HealthMonitor", map[string]any{"pool": pool.Physical, "type": "HTTPS", "url_path": "/readyz", "delay_ms": 200, "timeout_ms": 1000})
			})
			ports.Wait()
			for i := range 3 {
				rest.Go(func() {
					create("Octavia::PoolMember", map[string]any{"pool": pool.Physical, "address": addresses[i], "protocol_port": 6443})
				})
			}
		})
		ports.Wait()
		lap("ports")
		rest.Wait()
		lap("all")
		b.StopTimer()
		for i := len(made) - 1; i >= 0; i-- {
			s.delete(made[i])
		}
		b.StartTimer()
	}
}
