package plan

import "net/url"

// Check is something local that the agent looks at again and again beside the units' own health,
// and reports as conditions of the node. It never restarts anything.
type Check struct {
	Type string `json:"type"` // CheckEtcd
	// Endpoint is a base URL of http or https on this node. For CheckEtcd it serves /health and
	// /metrics, such as the member's metrics listener.
	Endpoint    string `json:"endpoint"`
	CA          string `json:"ca,omitempty"`          // absolute path; needed for https
	Certificate string `json:"certificate,omitempty"` // directory with tls.crt and tls.key
}

// CheckEtcd is an etcd member: whether it serves, its alarms, its disk's latency.
const CheckEtcd = "etcd"

// maxChecks bounds the checks of a plan: each costs processor time for ever.
const maxChecks = 8

func (v *validation) checks() {
	if len(v.plan.Checks) > maxChecks {
		v.fail("checks", "", "at most %d", maxChecks)
		return
	}
	seen := map[string]bool{}
	for i, check := range v.plan.Checks {
		base := at("checks", i)
		if check.Type != CheckEtcd {
			v.fail(base+".type", check.Type, "must be %s", CheckEtcd)
		}
		v.once(seen, base+".type", check.Type)
		u, err := url.Parse(check.Endpoint)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			v.fail(base+".endpoint", check.Endpoint, "must be a base URL of http or https")
			continue
		}
		v.local(base+".endpoint", u)
		if u.Scheme == "https" && check.CA == "" {
			v.fail(base+".ca", "", "is needed for https")
		}
		if check.CA != "" {
			v.absolute(base+".ca", check.CA)
		}
		if check.Certificate != "" {
			v.absolute(base+".certificate", check.Certificate)
		}
	}
}
