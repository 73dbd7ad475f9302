package plan

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway.build/slipway/agent/fault"
)

// Patterns of the names in a plan. Unit suffixes are those of systemd.unit(5) that a plan may
// use; a name of at most 63 characters is what host names and labels allow (RFC 1123).
const (
	namePattern    = `^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$`
	uuidPattern    = `^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`
	digestPattern  = `^sha256:[0-9a-f]{64}$`
	unitPattern    = `^slipway-[a-zA-Z0-9:_.@-]{1,200}\.(service|socket|target|timer|mount|slice|path)$`
	repoPattern    = `^[a-z0-9]+([._/-][a-z0-9]+)*$`
	userPattern    = `^[a-z_][a-z0-9_-]{0,31}$`
	versionPattern = `^[a-zA-Z0-9._-]{1,64}$`
	envPattern     = `^[A-Za-z_][A-Za-z0-9_]*=`
)

// maxConfirm bounds the confirmation window: until its end a deployment is under way.
const maxConfirm = Duration(time.Hour)

// AgentUnit is the agent's own unit; no plan may bring a unit of that name.
const AgentUnit = "slipway-agent.service"

// Validate checks everything that can be known from the plan alone: names, digests, paths that
// stay inside their base, references between its parts, local probes and deadlines. It returns
// a terminal error that joins one FieldError for each fault found, or nil.
func (p *Plan) Validate() error {
	v := &validation{plan: p, forms: map[string]*regexp.Regexp{}}
	v.head()
	v.images()
	v.identities()
	v.files()
	v.units()
	v.tasks()
	v.checks()
	v.drift()
	if len(v.errs) == 0 {
		return nil
	}
	return fault.Terminalf("plan of node %q: %w", p.Node.Name, errors.Join(v.errs...))
}

type validation struct {
	plan  *Plan
	errs  []error
	forms map[string]*regexp.Regexp // compiled patterns
}

func (v *validation) fail(at, value, format string, a ...any) {
	const shown = 120
	if len(value) > shown {
		value = value[:shown] + "…"
	}
	v.errs = append(v.errs, &FieldError{Path: at, Value: value, Detail: fmt.Sprintf(format, a...)})
}

func (v *validation) match(at, value, pattern, what string) {
	form := v.forms[pattern]
	if form == nil {
		form = regexp.MustCompile(pattern)
		v.forms[pattern] = form
	}
	if !form.MatchString(value) {
		v.fail(at, value, "is not %s", what)
	}
}

func (v *validation) head() {
	p := v.plan
	if p.Schema != Schema {
		v.fail("schema", p.Schema, "want %q; this agent knows no other", Schema)
	}
	v.match("node.id", p.Node.ID, uuidPattern, "a UUID")
	v.match("node.cluster", p.Node.Cluster, uuidPattern, "a UUID")
	v.match("node.name", p.Node.Name, namePattern, "a host name")
	if p.Node.Role != "master" && p.Node.Role != "worker" {
		v.fail("node.role", p.Node.Role, "must be master or worker")
	}
	if address, err := netip.ParseAddr(p.Node.Address); err != nil || !address.Is4() {
		v.fail("node.address", p.Node.Address, "is not an IPv4 address")
	}
	if p.Generation == 0 {
		v.fail("generation", "0", "starts at 1")
	}
	v.validity()
	v.deployment("deployment", p.Deployment)
	v.match("lock", p.Lock, digestPattern, "a sha256 digest")
	if len(p.Registries) == 0 && len(p.Images) > 0 {
		v.fail("registries", "", "at least one is needed to fetch images")
	}
	for i, registry := range p.Registries {
		u, err := url.Parse(registry)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" {
			v.fail(at("registries", i), registry, "is not a base URL of http or https without user and query")
		}
	}
	if p.Deadline <= 0 {
		v.fail("deadline", p.Deadline.String(), "must be greater than zero")
	}
	if p.Confirm < 0 || p.Confirm > maxConfirm {
		v.fail("confirm", p.Confirm.String(), "must be between zero and %s", maxConfirm)
	}
}

func (v *validation) deployment(at, id string) {
	if id == "" || len(id) > 128 || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		v.fail(at, id, "must be 1 to 128 visible ASCII characters")
	}
}

func (v *validation) images() {
	seen := map[string]bool{}
	for i, image := range v.plan.Images {
		base := at("images", i)
		v.match(base+".name", image.Name, namePattern, "an image name")
		v.once(seen, base+".name", image.Name)
		v.match(base+".repository", image.Repository, repoPattern, "a repository path")
		v.match(base+".digest", image.Digest, digestPattern, "a sha256 digest")
		if image.Import != "" && !strings.HasSuffix(image.Import, "@"+image.Digest) {
			v.fail(base+".import", image.Import, "must end in @%s", image.Digest)
		}
	}
}

func (v *validation) identities() {
	seen := map[string]bool{}
	for i, certificate := range v.plan.Certificates {
		base := at("certificates", i)
		v.match(base+".name", certificate.Name, namePattern, "a certificate name")
		v.once(seen, base+".name", certificate.Name)
		if certificate.Purpose == "" {
			v.fail(base+".purpose", "", "must not be empty")
		}
		v.match(base+".owner", certificate.Owner, userPattern, "a user name")
		for j, name := range certificate.Restart {
			if !slices.ContainsFunc(v.plan.Units, func(unit Unit) bool { return unit.Name == name }) {
				v.fail(at(base+".restart", j), name, "names no unit of this plan")
			}
		}
	}
	seen = map[string]bool{}
	for i, secret := range v.plan.Secrets {
		base := at("secrets", i)
		v.match(base+".name", secret.Name, namePattern, "a secret name")
		v.match(base+".version", secret.Version, versionPattern, "a version")
		v.once(seen, base+".name", secret.Name+"@"+secret.Version)
		v.match(base+".owner", secret.Owner, userPattern, "a user name")
	}
}

func (v *validation) files() {
	seen := map[string]bool{}
	for i, file := range v.plan.Files {
		base := at("files", i)
		v.relative(base+".path", file.Path)
		v.once(seen, base+".path", file.Path)
		mode, err := strconv.ParseUint(file.Mode, 8, 32)
		switch {
		case err != nil || len(file.Mode) != 4 || mode > 0o777:
			v.fail(base+".mode", file.Mode, "must be four octal digits without special bits, such as 0444")
		case mode&0o022 != 0:
			v.fail(base+".mode", file.Mode, "must not be writable by group or other")
		}
	}
	for i, file := range v.plan.Files {
		for dir := path.Dir(file.Path); dir != "." && dir != "/"; dir = path.Dir(dir) {
			if seen[dir] {
				v.fail(at("files", i)+".path", file.Path, "%q is a file of this plan, not a directory", dir)
			}
		}
	}
}

func (v *validation) units() {
	seen := map[string]bool{}
	for i := range v.plan.Units {
		unit := &v.plan.Units[i]
		base := at("units", i)
		v.match(base+".name", unit.Name, unitPattern, "a unit name that begins with slipway-")
		v.once(seen, base+".name", unit.Name)
		if unit.Name == AgentUnit {
			v.fail(base+".name", unit.Name, "is the agent's own unit")
		}
		if strings.TrimSpace(unit.Text) == "" || strings.ContainsRune(unit.Text, 0) {
			v.fail(base+".text", "", "must be a unit file")
		}
		if unit.Exec != nil {
			v.exec(base+".exec", unit.Exec)
		}
	}
	if agent := v.plan.Agent; agent != nil {
		v.image("agent.image", agent.Image)
		v.relative("agent.binary", agent.Binary)
	}
}

func (v *validation) exec(base string, exec *Exec) {
	v.image(base+".image", exec.Image)
	v.relative(base+".binary", exec.Binary)
	for i, entry := range exec.Env {
		v.match(at(base+".env", i), entry, envPattern, "KEY=value")
	}
	for i, argument := range append(slices.Clone(exec.Args), exec.Env...) {
		if strings.ContainsRune(argument, 0) {
			v.fail(at(base+".args", i), "", "must not contain a NUL")
		}
	}
	for i, tool := range exec.Tools {
		v.image(at(base+".tools", i), tool)
	}
	for i, mount := range exec.Mounts {
		v.relative(at(base+".mounts", i), mount)
	}
	if exec.State != nil {
		v.absolute(base+".state.dir", exec.State.Dir)
		v.relative(base+".state.sentinel", exec.State.Sentinel)
	}
	v.probe(base+".await", exec.Await, v.reachable)
	v.probe(base+".ready", exec.Ready, v.local)
	v.probe(base+".live", exec.Live, v.local)
}

func (v *validation) image(at, name string) {
	i := slices.IndexFunc(v.plan.Images, func(image Image) bool { return image.Name == name })
	if i < 0 {
		v.fail(at, name, "names no image of this plan")
	}
}

func (v *validation) probe(base string, probe *Probe, host func(at string, u *url.URL)) {
	if probe == nil {
		return
	}
	if probe.Timeout < 0 || probe.Interval < 0 || probe.Failures < 0 {
		v.fail(base, "", "timeout, interval and failures must not be negative")
	}
	for _, file := range []struct{ at, path string }{{base + ".ca", probe.CA}, {base + ".certificate", probe.Certificate}} {
		if file.path != "" {
			v.absolute(file.at, file.path)
		}
	}
	u, err := url.Parse(probe.URL)
	if err != nil || u.User != nil || u.Fragment != "" {
		v.fail(base+".url", probe.URL, "is not a URL without user and fragment")
		return
	}
	switch u.Scheme {
	case "unix", "grpc+unix":
		v.absolute(base+".url", u.Path)
		if u.Host != "" {
			v.fail(base+".url", probe.URL, "must be %s:///path", u.Scheme)
		}
	case "http", "https", "tcp":
		host(base+".url", u)
		if u.Scheme == "https" && probe.CA == "" {
			v.fail(base+".ca", "", "is needed for https")
		}
	default:
		v.fail(base+".url", probe.URL, "scheme must be http, https, tcp, unix or grpc+unix")
	}
}

// reachable demands a host by address, and a port.
func (v *validation) reachable(at string, u *url.URL) {
	if u.Port() == "" {
		v.fail(at, u.String(), "must name a port")
	}
	if _, err := netip.ParseAddr(u.Hostname()); err != nil {
		v.fail(at, u.String(), "must name an address")
	}
}

// local demands this node.
func (v *validation) local(at string, u *url.URL) {
	if u.Port() == "" {
		v.fail(at, u.String(), "must name a port")
	}
	address, err := netip.ParseAddr(u.Hostname())
	if u.Hostname() == "localhost" || (err == nil && (address.IsLoopback() || u.Hostname() == v.plan.Node.Address)) {
		return
	}
	v.fail(at, u.String(), "must be loopback or the node's own address")
}

func (v *validation) once(seen map[string]bool, at, name string) {
	if seen[name] {
		v.fail(at, name, "is there twice")
	}
	seen[name] = true
}

// relative accepts clean slash-separated paths below their base, and nothing else.
func (v *validation) relative(at, p string) {
	if p == "" || path.IsAbs(p) || path.Clean(p) != p || p == "." || p == ".." || strings.HasPrefix(p, "../") || hasControl(p) {
		v.fail(at, p, "must be a clean relative path that stays inside its base")
	}
}

func (v *validation) absolute(at, p string) {
	if !path.IsAbs(p) || path.Clean(p) != p || hasControl(p) {
		v.fail(at, p, "must be a clean absolute path")
	}
}

func hasControl(p string) bool {
	return strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func at(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }
