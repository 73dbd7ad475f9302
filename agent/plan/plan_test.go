package plan_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
)

const hex64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// good returns a plan in which everything is used.
func good() *plan.Plan {
	return &plan.Plan{
		Schema: plan.Schema,
		Node:   plan.Node{ID: "5f0c54a4-4d0c-4a3e-9d39-0d8f2a51f2aa", Name: "k8s-master-0", Cluster: "0b9f1dbe-5f7e-4b3a-8a34-3cf6f6f3a001", Role: "master", Address: "10.0.0.5"},
		Issued: time.Date(2026, 11, 21, 17, 0, 0, 0, time.UTC), Expires: time.Date(2026, 12, 21, 17, 0, 0, 0, time.UTC),
		Generation: 1, Deployment: "d-1", Lock: "sha256:" + hex64, Registries: []string{"http://172.29.0.1:5000"},
		Images: []plan.Image{
			{Name: "etcd", Repository: "slipway/etcd", Digest: "sha256:" + hex64},
			{Name: "pause", Repository: "slipway/pause", Digest: "sha256:" + hex64, Import: "example.org/pause@sha256:" + hex64},
		},
		Certificates: []plan.Certificate{{Name: "etcd-server", Purpose: "etcd-server", Owner: "slip-etcd"}},
		Secrets:      []plan.Secret{{Name: "sa", Version: "1", Owner: "root"}},
		Files:        []plan.File{{Path: "etcd/config.yaml", Mode: "0444", Content: "a <b> & c\n"}},
		Units: []plan.Unit{{Name: "slipway-etcd.service", Text: "[Service]\n", Start: true, Exec: &plan.Exec{
			Image: "etcd", Binary: "usr/bin/etcd", Env: []string{"A=b"}, Tools: []string{"etcd"}, Mounts: []string{"var/lib/etcd"},
			State: &plan.State{Dir: "/var/lib/etcd", Sentinel: "member"},
			Ready: &plan.Probe{URL: "https://127.0.0.1:2379/health", CA: "/ca.crt", Timeout: plan.Duration(time.Second)},
			Live:  &plan.Probe{URL: "unix:///run/etcd.sock"},
		}}},
		Tasks: []plan.Task{
			{Name: "dns", Kind: plan.TaskApply, After: []string{"slipway-etcd.service"}, Deployment: "d-2", Await: true,
				API:     &plan.API{Server: "https://127.0.0.1:6443", CA: "/ca.crt", Certificate: "etcd-server"},
				Objects: []plan.Object{{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "x"}, "n": json.Number("12345678901234567890")}}},
			{Name: "ready", Kind: plan.TaskNodeReady, API: &plan.API{Server: "https://10.0.0.5:6443", CA: "/ca.crt", Certificate: "etcd-server"}},
		},
		Deadline: plan.Duration(10 * time.Minute),
	}
}

func TestAGoodPlanSurvivesTheWayThere(t *testing.T) {
	p := good()
	raw, err := p.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	back, err := plan.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, back); diff != "" {
		t.Errorf("differs (-sent +received):\n%s", diff)
	}
	again, err := back.Canonical()
	if err != nil || string(again) != string(raw) {
		t.Errorf("canonical bytes differ (%v)", err)
	}
	if strings.Contains(string(raw), `\u003c`) {
		t.Error("canonical bytes escape what JSON does not ask for")
	}
}

func TestFaultsNameTheirField(t *testing.T) {
	unit := func(p *plan.Plan) *plan.Unit { return &p.Units[0] }
	for name, test := range map[string]struct {
		change func(*plan.Plan)
		path   string
	}{
		"another schema":           {func(p *plan.Plan) { p.Schema = "x" }, "schema"},
		"node id":                  {func(p *plan.Plan) { p.Node.ID = "x" }, "node.id"},
		"node name with a slash":   {func(p *plan.Plan) { p.Node.Name = "a/b" }, "node.name"},
		"role":                     {func(p *plan.Plan) { p.Node.Role = "king" }, "node.role"},
		"address":                  {func(p *plan.Plan) { p.Node.Address = "::1" }, "node.address"},
		"generation zero":          {func(p *plan.Plan) { p.Generation = 0 }, "generation"},
		"never issued":             {func(p *plan.Plan) { p.Issued = time.Time{} }, "issued"},
		"without an end":           {func(p *plan.Plan) { p.Expires = time.Time{} }, "expires"},
		"an end at its beginning":  {func(p *plan.Plan) { p.Expires = p.Issued }, "expires"},
		"a fraction of a second":   {func(p *plan.Plan) { p.Issued = p.Issued.Add(1) }, "issued"},
		"another time zone":        {func(p *plan.Plan) { p.Expires = p.Expires.In(time.FixedZone("x", 3600)) }, "expires"},
		"a restart of nothing":     {func(p *plan.Plan) { p.Certificates[0].Restart = []string{"ssh.service"} }, "certificates[0].restart[0]"},
		"no deployment":            {func(p *plan.Plan) { p.Deployment = "" }, "deployment"},
		"lock digest":              {func(p *plan.Plan) { p.Lock = "sha256:abc" }, "lock"},
		"registry with a password": {func(p *plan.Plan) { p.Registries[0] = "http://a:b@c" }, "registries[0]"},
		"no deadline":              {func(p *plan.Plan) { p.Deadline = 0 }, "deadline"},
		"image digest":             {func(p *plan.Plan) { p.Images[0].Digest = "latest" }, "images[0].digest"},
		"image twice":              {func(p *plan.Plan) { p.Images[1].Name = "etcd" }, "images[1].name"},
		"import by tag":            {func(p *plan.Plan) { p.Images[1].Import = "pause:3" }, "images[1].import"},
		"certificate owner":        {func(p *plan.Plan) { p.Certificates[0].Owner = "Root;" }, "certificates[0].owner"},
		"certificate path":         {func(p *plan.Plan) { p.Certificates[0].Name = "../x" }, "certificates[0].name"},
		"secret version":           {func(p *plan.Plan) { p.Secrets[0].Version = "a/b" }, "secrets[0].version"},
		"file that escapes":        {func(p *plan.Plan) { p.Files[0].Path = "../etc/passwd" }, "files[0].path"},
		"absolute file":            {func(p *plan.Plan) { p.Files[0].Path = "/etc/passwd" }, "files[0].path"},
		"unclean file":             {func(p *plan.Plan) { p.Files[0].Path = "a//b" }, "files[0].path"},
		"writable file":            {func(p *plan.Plan) { p.Files[0].Mode = "0666" }, "files[0].mode"},
		"setuid file":              {func(p *plan.Plan) { p.Files[0].Mode = "4755" }, "files[0].mode"},
		"file below a file":        {func(p *plan.Plan) { p.Files = append(p.Files, plan.File{Path: "etcd/config.yaml/x", Mode: "0444"}) }, "files[1].path"},
		"foreign unit":             {func(p *plan.Plan) { unit(p).Name = "sshd.service" }, "units[0].name"},
		"unit without suffix":      {func(p *plan.Plan) { unit(p).Name = "slipway-x" }, "units[0].name"},
		"the agent's unit":         {func(p *plan.Plan) { unit(p).Name = plan.AgentUnit }, "units[0].name"},
		"empty unit":               {func(p *plan.Plan) { unit(p).Text = " " }, "units[0].text"},
		"unknown image":            {func(p *plan.Plan) { unit(p).Exec.Image = "x" }, "units[0].exec.image"},
		"unknown tool":             {func(p *plan.Plan) { unit(p).Exec.Tools = []string{"x"} }, "units[0].exec.tools[0]"},
		"binary that escapes":      {func(p *plan.Plan) { unit(p).Exec.Binary = "../sh" }, "units[0].exec.binary"},
		"environment":              {func(p *plan.Plan) { unit(p).Exec.Env = []string{"A"} }, "units[0].exec.env[0]"},
		"mount that escapes":       {func(p *plan.Plan) { unit(p).Exec.Mounts = []string{"a/../../b"} }, "units[0].exec.mounts[0]"},
		"relative state":           {func(p *plan.Plan) { unit(p).Exec.State.Dir = "x" }, "units[0].exec.state.dir"},
		"probe of another host":    {func(p *plan.Plan) { unit(p).Exec.Live.URL = "http://10.0.0.6:80/" }, "units[0].exec.live.url"},
		"probe of a name":          {func(p *plan.Plan) { unit(p).Exec.Live.URL = "http://example.org:80/" }, "units[0].exec.live.url"},
		"probe by file":            {func(p *plan.Plan) { unit(p).Exec.Live.URL = "file:///etc/passwd" }, "units[0].exec.live.url"},
		"https without authority":  {func(p *plan.Plan) { unit(p).Exec.Ready.CA = "" }, "units[0].exec.ready.ca"},
		"task of unknown kind":     {func(p *plan.Plan) { p.Tasks[0].Kind = "shell" }, "tasks[0].kind"},
		"task after nothing":       {func(p *plan.Plan) { p.Tasks[0].After = []string{"x"} }, "tasks[0].after[0]"},
		"task after a later one":   {func(p *plan.Plan) { p.Tasks[0].After = []string{"ready"} }, "tasks[0].after[0]"},
		"after another deployment": {func(p *plan.Plan) { p.Tasks[1].After = []string{"dns"} }, "tasks[1].after[0]"},
		"task without API":         {func(p *plan.Plan) { p.Tasks[1].API = nil }, "tasks[1].api"},
		"unknown certificate":      {func(p *plan.Plan) { p.Tasks[1].API.Certificate = "x" }, "tasks[1].api.certificate"},
		"API without TLS":          {func(p *plan.Plan) { p.Tasks[1].API.Server = "http://127.0.0.1:8080" }, "tasks[1].api.server"},
		"object without name":      {func(p *plan.Plan) { delete(p.Tasks[0].Objects[0], "metadata") }, "tasks[0].objects[0].metadata.name"},
	} {
		t.Run(name, func(t *testing.T) {
			p := good()
			test.change(p)
			err := p.Validate()
			if !fault.IsTerminal(err) {
				t.Fatalf("error %v, want a terminal one", err)
			}
			if !strings.Contains(err.Error(), test.path+":") {
				t.Errorf("error %q does not name %s", err, test.path)
			}
			var field *plan.FieldError
			if !errors.As(err, &field) {
				t.Error("no FieldError in the chain")
			}
		})
	}
}

func TestForeignJSONIsRefused(t *testing.T) {
	raw, err := good().Canonical()
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for name, test := range map[string]struct{ from, to, want string }{
		"unknown field":     {`"generation":1`, `"generation":1,"script":"rm"`, "script: unknown field"},
		"unknown deep down": {`"binary":"usr/bin/etcd"`, `"binary":"usr/bin/etcd","shell":true`, "units[0].exec.shell: unknown field"},
		"other case":        {`"generation":1`, `"Generation":1`, "Generation: unknown field"},
		"twice":             {`"generation":1`, `"generation":1,"generation":2`, "generation: is there twice"},
		"null":              {`"generation":1`, `"generation":null`, "generation: must not be null"},
		"another type":      {`"generation":1`, `"generation":"1"`, "generation"},
		"bare duration":     {`"deadline":"10m0s"`, `"deadline":600`, "want a string such as"},
		"list for object":   {`"node":{`, `"node":[{`, "node"},
		"rest":              {text, text + "{}", "more after the end"},
		"nothing":           {text, "", "not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(text, test.from, test.to, 1)
			if changed == text {
				t.Fatal("the test changes nothing")
			}
			_, err := plan.Parse([]byte(changed))
			if !fault.IsTerminal(err) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want a terminal one with %q", err, test.want)
			}
		})
	}
}

func newKey(t testing.TB) (*ecdsa.PrivateKey, protocol.PlanKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := plan.PublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key, public
}

func TestAnEnvelopeOpensWithItsKeyAlone(t *testing.T) {
	key, public := newKey(t)
	_, other := newKey(t)
	envelope, err := plan.Seal(t.Context(), good(), key)
	if err != nil {
		t.Fatal(err)
	}
	p, digest, err := plan.Open(t.Context(), envelope, []protocol.PlanKey{other, public})
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := good().Digest(); digest != want || p.Generation != 1 {
		t.Errorf("digest %s, want %s", digest, want)
	}
	if claim := plan.ClaimOf(envelope); claim.Digest != digest || claim.Deployment != "d-1" || claim.Generation != 1 {
		t.Errorf("claim %+v", claim)
	}
	for name, keys := range map[string][]protocol.PlanKey{"another key": {other}, "no key": nil, "a key under a false name": {{ID: other.ID, Public: public.Public}}} {
		if _, _, err := plan.Open(t.Context(), envelope, keys); !fault.IsTerminal(err) {
			t.Errorf("%s: error %v, want a terminal one", name, err)
		}
	}
}

func TestAChangedEnvelopeIsRefused(t *testing.T) {
	key, public := newKey(t)
	envelope, err := plan.Seal(t.Context(), good(), key)
	if err != nil {
		t.Fatal(err)
	}
	var env map[string]any
	if err := json.Unmarshal(envelope, &env); err != nil {
		t.Fatal(err)
	}
	payload, err := base64.StdEncoding.DecodeString(env["payload"].(string))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(map[string]any){
		"payload":       func(e map[string]any) { e["payload"] = base64.StdEncoding.EncodeToString(append(payload, ' ')) },
		"type":          func(e map[string]any) { e["payloadType"] = "text/plain" },
		"no signatures": func(e map[string]any) { e["signatures"] = []any{} },
	} {
		changed := map[string]any{}
		for k, v := range env {
			changed[k] = v
		}
		change(changed)
		raw, err := json.Marshal(changed)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := plan.Open(t.Context(), raw, []protocol.PlanKey{public}); !fault.IsTerminal(err) {
			t.Errorf("%s: error %v, want a terminal one", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	raw, err := good().Canonical()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"schema":"slipway.build/plan/v1","units":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := plan.Parse(data)
		if err != nil {
			if !fault.IsTerminal(err) {
				t.Errorf("error %v is not terminal", err)
			}
			return
		}
		once, err := p.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		back, err := plan.Parse(once)
		if err != nil {
			t.Fatalf("canonical bytes of a good plan are refused: %v", err)
		}
		twice, err := back.Canonical()
		if err != nil || string(once) != string(twice) {
			t.Errorf("canonical bytes are not stable (%v):\n%s\n%s", err, once, twice)
		}
	})
}

func FuzzOpen(f *testing.F) {
	key, public := newKey(f)
	envelope, err := plan.Seal(f.Context(), good(), key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(envelope)
	f.Fuzz(func(t *testing.T, data []byte) {
		_, digest, err := plan.Open(t.Context(), data, []protocol.PlanKey{public})
		if want, _ := good().Digest(); err == nil && digest != want {
			t.Errorf("a plan that nobody signed was opened: %s", digest)
		}
		plan.ClaimOf(data)
	})
}
