package action_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/action"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
)

const (
	someID   = "0b9f1dbe-5f7e-4b3a-8a34-3cf6f6f3a001"
	someNode = "5f0c54a4-4d0c-4a3e-9d39-0d8f2a51f2aa"
)

var digest = "sha256:" + strings.Repeat("a", 64)

// good are arguments that each kind takes.
func good() map[action.Kind]action.Arguments {
	return map[action.Kind]action.Arguments{
		action.Restart: {Unit: "slipway-kubelet.service"},
		action.Logs:    {Unit: "slipway-agent.service", Lines: 10},
		action.Check:   {Checks: action.Checks()},
		action.Renew:   {Certificates: []string{"kubelet-client"}},
		action.Pull: {
			Images: []action.Image{{Name: "etcd", Repository: "slipway/etcd", Digest: digest}}, Lock: digest,
			Registries: []string{"http://172.29.0.1:5000"},
		},
		action.Bundle: {},
		action.Reboot: {},
	}
}

func request(kind action.Kind, arguments action.Arguments) *action.Request {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	return &action.Request{
		Schema: action.Schema, ID: someID, Node: someNode, Number: 1, Kind: kind, Arguments: arguments,
		Actor: "user:alice", Issued: now, Expires: now.Add(time.Minute),
	}
}

func newKey(t testing.TB) (*ecdsa.PrivateKey, []protocol.PlanKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := plan.PublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key, []protocol.PlanKey{public}
}

func TestEveryKindIsSealedAndOpenedAsItWas(t *testing.T) {
	key, keys := newKey(t)
	if len(good()) != len(action.Kinds()) {
		t.Fatalf("there are %d kinds, this test knows %d", len(action.Kinds()), len(good()))
	}
	for kind, arguments := range good() {
		want := request(kind, arguments)
		envelope, err := action.Seal(t.Context(), want, key)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		got, err := action.Open(t.Context(), envelope, keys)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: opened as %+v, %v", kind, got, err)
		}
		if claim := action.ClaimOf(envelope); claim != someID {
			t.Errorf("%s: claims to be %q", kind, claim)
		}
	}
}

func TestAnEnvelopeOfAnotherKeyOrKindIsRefused(t *testing.T) {
	key, keys := newKey(t)
	other, _ := newKey(t)
	sealed, err := action.Seal(t.Context(), request(action.Reboot, action.Arguments{}), other)
	if err != nil {
		t.Fatal(err)
	}
	asPlan, err := plan.SealPayload(t.Context(), protocol.PayloadType, []byte("{}"), key)
	if err != nil {
		t.Fatal(err)
	}
	mine, err := action.Seal(t.Context(), request(action.Reboot, action.Arguments{}), key)
	if err != nil {
		t.Fatal(err)
	}
	for name, envelope := range map[string][]byte{
		"another key's": sealed, "a plan's type": asPlan, "nothing": nil, "no JSON": []byte("x"),
		"one bit is different": []byte(strings.Replace(string(mine), `"payload":"eyJ`, `"payload":"eyK`, 1)),
		"too large":            append(mine, make([]byte, action.MaxSize)...),
	} {
		if _, err := action.Open(t.Context(), envelope, keys); !fault.IsTerminal(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A plan's opener does not take a request either.
	if _, _, err := plan.Open(t.Context(), mine, keys); !fault.IsTerminal(err) {
		t.Errorf("opened as a plan: %v", err)
	}
}

func TestWhatIsUnknownIsRefusedByName(t *testing.T) {
	change := func(edit func(map[string]any)) []byte {
		raw, err := json.Marshal(request(action.Restart, good()[action.Restart]))
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(raw, &fields); err != nil {
			t.Fatal(err)
		}
		edit(fields)
		raw, err = json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	arguments := func(name string, value any) []byte {
		return change(func(f map[string]any) { f["arguments"].(map[string]any)[name] = value })
	}
	for want, payload := range map[string][]byte{
		"kind":               change(func(f map[string]any) { f["kind"] = "shell" }),
		"command":            change(func(f map[string]any) { f["command"] = "id" }),
		"arguments.command":  arguments("command", "id"),
		"arguments.lines":    arguments("lines", 5),
		"arguments.unit":     arguments("unit", "ssh.service"),
		"arguments.checks":   arguments("checks", []string{"disk"}),
		"schema":             change(func(f map[string]any) { f["schema"] = "slipway.build/action/v2" }),
		"id":                 change(func(f map[string]any) { f["id"] = "../x" }),
		"node":               change(func(f map[string]any) { f["node"] = "me" }),
		"number":             change(func(f map[string]any) { f["number"] = 0 }),
		"actor":              change(func(f map[string]any) { f["actor"] = "" }),
		"expires":            change(func(f map[string]any) { f["expires"] = f["issued"] }),
		"later than issued":  change(func(f map[string]any) { f["expires"] = "2026-11-22T12:00:01Z" }),
		"there twice":        []byte(`{"schema":"x","schema":"y"}`),
		"after the end":      append(arguments("unit", "slipway-a.service"), '{'),
		"must not be null":   change(func(f map[string]any) { f["arguments"] = nil }),
		"must not be a list": change(func(f map[string]any) { f["arguments"] = []any{} }),
	} {
		if _, err := action.Parse(payload); !fault.IsTerminal(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("want a terminal error about %s: %v", want, err)
		}
	}
}

// TestNoKindTakesACommandOrAPath puts what a shell or a file system would act on into every text
// of every kind's arguments: there is no remote shell.
func TestNoKindTakesACommandOrAPath(t *testing.T) {
	hostile := []string{
		"/bin/sh", "sh -c id", "$(id)", "`id`", "; reboot", "| sh", "&& id", "../../etc/shadow", "/etc/passwd", "-rf", "--help",
		"a b", "a\nb", "a\x00b", "file:///etc/shadow", "~root", "%h", "", strings.Repeat("a", 300),
		"slipway-x.service; id", "slipway-../x.service", "slipway-/x.service", "slipway-x.service\n",
	}
	others := []string{"sshd.service", "slipway-x", "systemd-networkd.service"} // what is no unit of a plan
	tried := 0
	for kind, arguments := range good() {
		for at, set := range texts(arguments) {
			values := hostile
			if strings.HasSuffix(at, ".Unit") {
				values = append(others, hostile...)
			}
			for _, value := range values {
				changed := arguments
				changed.Checks = append([]action.CheckName(nil), arguments.Checks...)
				changed.Certificates = append([]string(nil), arguments.Certificates...)
				changed.Images = append([]action.Image(nil), arguments.Images...)
				changed.Registries = append([]string(nil), arguments.Registries...)
				set(reflect.ValueOf(&changed).Elem(), value)
				tried++
				if err := action.ValidateArguments(kind, changed); err == nil {
					t.Errorf("%s takes %q as %s", kind, value, at)
				}
			}
		}
	}
	if tried < 10*len(hostile) {
		t.Errorf("only %d texts were tried", tried)
	}
	// Whatever is added to the arguments has to be thought of here.
	if n := reflect.TypeFor[action.Arguments]().NumField(); n != 7 {
		t.Errorf("there are %d arguments, this test knows 7", n)
	}
}

// texts returns a setter for every text in arguments that is set there.
func texts(arguments action.Arguments) map[string]func(reflect.Value, string) {
	out := map[string]func(reflect.Value, string){}
	var walk func(value reflect.Value, at string, path []int)
	get := func(root reflect.Value, path []int) reflect.Value {
		for _, i := range path {
			if root.Kind() == reflect.Slice {
				root = root.Index(i)
			} else {
				root = root.Field(i)
			}
		}
		return root
	}
	walk = func(value reflect.Value, at string, path []int) {
		switch value.Kind() {
		case reflect.String:
			if value.String() != "" {
				path := append([]int(nil), path...)
				out[at] = func(root reflect.Value, text string) { get(root, path).SetString(text) }
			}
		case reflect.Struct:
			for i := range value.NumField() {
				walk(value.Field(i), at+"."+value.Type().Field(i).Name, append(path, i))
			}
		case reflect.Slice:
			for i := range value.Len() {
				walk(value.Index(i), fmt.Sprintf("%s[%d]", at, i), append(path, i))
			}
		}
	}
	walk(reflect.ValueOf(arguments), "arguments", nil)
	return out
}

func TestRegistriesCarryNoCredentials(t *testing.T) {
	for _, text := range []string{"ftp://x", "http://", "http://u:p@x", "http://x?a=b", "http://x#y", "x"} {
		arguments := good()[action.Pull]
		arguments.Registries = []string{text}
		if action.ValidateArguments(action.Pull, arguments) == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	for kind, arguments := range good() {
		raw, err := json.Marshal(request(kind, arguments))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := action.Parse(raw)
		if err != nil {
			if !fault.IsTerminal(err) {
				t.Errorf("not terminal: %v", err)
			}
			return
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := action.Parse(again); err != nil {
			t.Errorf("what was taken is refused when it is written anew: %v", err)
		}
		if r.Arguments.Unit != "" && strings.ContainsAny(r.Arguments.Unit, "/ \n\x00;|&$`") {
			t.Errorf("unit %q", r.Arguments.Unit)
		}
	})
}

func FuzzOpen(f *testing.F) {
	key, keys := newKey(f)
	envelope, err := action.Seal(context.Background(), request(action.Reboot, action.Arguments{}), key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(envelope)
	f.Fuzz(func(t *testing.T, raw []byte) {
		_ = action.ClaimOf(raw)
		if r, err := action.Open(t.Context(), raw, keys); err == nil && r.ID != someID {
			t.Errorf("opened %+v, which nobody has signed", r)
		}
	})
}
