package testcloud

import (
	"fmt"
	"net/http"
	"time"
)

// AuthURL is Keystone's address as Heat hands it out.
func (c *Cloud) AuthURL() string { return c.URL + "/identity/v3/" }

// ExpireTokens has every token refused from now on, whatever was said of its life.
func (c *Cloud) ExpireTokens() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.tokens)
}

// versions is what Keystone says of itself.
func (c *Cloud) versions(w http.ResponseWriter, _ *http.Request) {
	type object = map[string]any
	write(w, http.StatusMultipleChoices, object{"versions": object{"values": []object{
		{"id": "v3.14", "status": "stable", "links": []object{{"rel": "self", "href": c.URL + "/identity/v3/"}}},
	}}})
}

// version3 is what its v3 says of itself.
func (c *Cloud) version3(w http.ResponseWriter, _ *http.Request) {
	type object = map[string]any
	write(w, http.StatusOK, object{"version": object{
		"id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z", "links": []object{{"rel": "self", "href": c.URL + "/identity/v3/"}},
		"media-types": []object{{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}},
	}})
}

func (c *Cloud) authenticate(w http.ResponseWriter, r *http.Request) {
	if !c.enter(w, Token) {
		return
	}
	var body struct {
		Auth struct {
			Identity struct {
				Methods  []string `json:"methods"`
				Password struct {
					User struct{ ID, Password string } `json:"user"`
				} `json:"password"`
			} `json:"identity"`
			Scope struct {
				Project struct{ ID string } `json:"project"`
			} `json:"scope"`
		} `json:"auth"`
	}
	if !read(w, r, &body) {
		return
	}
	now := c.now().UTC()
	c.mu.Lock()
	defer c.mu.Unlock()
	user := body.Auth.Identity.Password.User
	if want, ok := c.users[user.ID]; !ok || want != user.Password || body.Auth.Scope.Project.ID != Project ||
		len(body.Auth.Identity.Methods) != 1 || body.Auth.Identity.Methods[0] != "password" {
		http.Error(w, `{"error":{"code":401,"message":"The request you have made requires authentication."}}`, http.StatusUnauthorized)
		return
	}
	c.issued++
	id := fmt.Sprintf("token-%d", c.issued)
	c.tokens[id] = user.ID
	type object = map[string]any
	entry := func(kind, url string) object {
		return object{"id": kind, "type": kind, "name": kind, "endpoints": []object{
			{"interface": "internal", "region": Region, "region_id": Region, "url": "http://127.0.0.1:1/internal"},
			{"interface": "public", "region": "Elsewhere", "region_id": "Elsewhere", "url": "http://127.0.0.1:1/elsewhere"},
			{"interface": "public", "region": Region, "region_id": Region, "url": url},
		}}
	}
	w.Header().Set("X-Subject-Token", id)
	write(w, http.StatusCreated, object{"token": object{
		"issued_at": now.Format("2006-01-02T15:04:05.000000Z"), "expires_at": now.Add(time.Hour).Format("2006-01-02T15:04:05.000000Z"),
		"methods": []string{"password"}, "audit_ids": []string{"x"}, "roles": []object{{"id": "r", "name": "heat_stack_user"}},
		"user":    object{"id": user.ID, "name": user.ID, "domain": object{"id": "heat", "name": "heat"}},
		"project": object{"id": Project, "name": Project, "domain": object{"id": "heat", "name": "heat"}},
		"catalog": []object{
			entry("orchestration", c.URL+"/heat/v1/"+Project),
			entry("messaging", c.URL+"/zaqar/"),
		},
	}})
}

// user returns who calls, "" and a 401 when nobody known does.
func (c *Cloud) user(w http.ResponseWriter, r *http.Request) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	user := c.tokens[r.Header.Get("X-Auth-Token")]
	if user == "" {
		http.Error(w, `{"error":{"code":401}}`, http.StatusUnauthorized)
	}
	return user
}
