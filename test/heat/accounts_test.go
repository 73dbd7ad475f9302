//go:build heat

package heat

import (
	"context"
	"errors"
	"net/http"
)

// accounts makes things in Keystone; the first error stops all that follows.
type accounts struct {
	ctx context.Context
	user
	err error
}

// add makes a thing and returns its id.
func (a *accounts) add(collection, kind string, fields map[string]any) string {
	var answer map[string]struct {
		ID string `json:"id"`
	}
	if a.err == nil {
		_, a.err = a.send(a.ctx, http.MethodPost, keystoneURL+"/"+collection, map[string]any{kind: fields}, &answer)
	}
	return answer[kind].ID
}

// role returns the id of a role that bootstrap has made.
func (a *accounts) role(name string) string {
	var answer struct {
		Roles []struct {
			ID string `json:"id"`
		} `json:"roles"`
	}
	if a.err == nil {
		_, a.err = a.send(a.ctx, http.MethodGet, keystoneURL+"/roles?name="+name, nil, &answer)
	}
	if a.err == nil && len(answer.Roles) != 1 {
		a.err = errors.New("no role " + name)
	}
	if a.err != nil {
		return ""
	}
	return answer.Roles[0].ID
}

// grant gives a user a role, on "projects/<id>" or "domains/<id>".
func (a *accounts) grant(on, user, role string) {
	if a.err == nil {
		_, a.err = a.send(a.ctx, http.MethodPut, keystoneURL+"/"+on+"/users/"+user+"/roles/"+role, nil, nil)
	}
}

// makeAccounts makes what Heat's installation guide asks for: its user, its domain with an
// administrator, its roles and endpoints; and a tenant for the tests.
func makeAccounts(ctx context.Context) error {
	admin, err := logIn(ctx, "admin", "admin", "admin")
	if err != nil {
		return err
	}
	type fields = map[string]any
	a := &accounts{ctx: ctx, user: admin}
	adminRole, member := a.role("admin"), a.role("member")
	services := a.add("projects", "project", fields{"name": "service", "domain_id": "default"})
	a.grant("projects/"+services, a.add("users", "user", fields{"name": "heat", "password": "heat", "domain_id": "default"}), adminRole)
	a.add("roles", "role", fields{"name": "heat_stack_user"})
	domain := a.add("domains", "domain", fields{"name": "heat"})
	a.grant("domains/"+domain, a.add("users", "user", fields{"name": "heat_domain_admin", "password": "domain", "domain_id": domain}), adminRole)
	for kind, address := range map[string]string{"orchestration": heatURL + "/%(tenant_id)s", "cloudformation": cfnURL} {
		id := a.add("services", "service", fields{"name": kind, "type": kind})
		a.add("endpoints", "endpoint", fields{"service_id": id, "interface": "public", "region_id": "RegionOne", "url": address})
	}
	project := a.add("projects", "project", fields{"name": "tenant", "domain_id": "default"})
	a.grant("projects/"+project, a.add("users", "user", fields{"name": "tenant", "password": "tenant", "domain_id": "default"}), member)
	return a.err
}
