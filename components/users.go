package components

import "slices"

// Users returns the names of the users that confined components run as, sorted. The node OS
// must have them (sysusers.d), since systemd takes no bare number for User=.
func Users() []string {
	var out []string
	for _, p := range All(Cluster{}, Node{Role: RoleMaster}, "") {
		if p.User != "" {
			out = append(out, p.User)
		}
	}
	slices.Sort(out)
	return out
}
