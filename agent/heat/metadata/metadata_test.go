package metadata_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/heat/metadata"
)

func parse(t *testing.T, name, raw string) metadata.Document {
	t.Helper()
	doc, err := metadata.Parse(name, []byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func deployments(t *testing.T, raw string) []metadata.Deployment {
	t.Helper()
	list, errs := metadata.ParseDeployments(json.RawMessage(raw))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return list
}

func TestObjectsMergeListsAndNullsReplace(t *testing.T) {
	docs := []metadata.Document{
		parse(t, "a", `{"x":{"one":1,"two":{"deep":true}},"list":[1,2],"gone":{"k":1},"text":"a"}`),
		parse(t, "b", `{"x":{"two":{"more":2}},"list":[3],"gone":null,"text":{"now":"an object"}}`),
	}
	merged, err := metadata.Merge(docs)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(merged)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"gone":null,"list":[3],"text":{"now":"an object"},"x":{"one":1,"two":{"deep":true,"more":2}}}`
	if string(got) != want {
		t.Errorf("merged to %s\nwant %s", got, want)
	}
}

func TestATransportThatWasReplacedIsOffAndTheNewOneIsOn(t *testing.T) {
	boot := `{"os-collect-config":{"collectors":["ec2","cfn","local"],"cfn":{"metadata_url":"http://h:8000/v1/","access_key_id":"a","secret_access_key":"s","stack_name":"st","path":"srv.Metadata"}}}`
	now := `{"os-collect-config":{"collectors":["ec2","heat","local"],"polling_interval":"5","cfn":{"metadata_url":null,"access_key_id":null,"secret_access_key":null,"stack_name":null,"path":null},
		"heat":{"user_id":"u","password":"p","auth_url":"http://k:5000/v3","project_id":"pr","stack_id":"st/1","resource_name":"srv","region_name":null}}}`
	merged, err := metadata.Merge([]metadata.Document{parse(t, "heat_local", boot), parse(t, "cfn", now)})
	if err != nil {
		t.Fatal(err)
	}
	s := metadata.ReadSettings(merged)
	if s.CFN != (metadata.CFNAccess{}) {
		t.Errorf("the old transport is still there: %+v", s.CFN.MetadataURL)
	}
	if !s.Heat.Complete() || s.Heat.StackID != "st/1" || s.Heat.Region != "" || s.PollingInterval != 5*time.Second {
		t.Errorf("settings %+v", s)
	}
	if !slices.Equal(s.Collectors, []string{"ec2", "heat", "local"}) {
		t.Errorf("collectors %v", s.Collectors)
	}
}

func TestSettingsOfAnyFormAreRead(t *testing.T) {
	for raw, want := range map[string]metadata.Settings{
		`{}`:                                {Collectors: metadata.DefaultCollectors(), PollingInterval: 30 * time.Second},
		`{"os-collect-config":null}`:        {Collectors: metadata.DefaultCollectors(), PollingInterval: 30 * time.Second},
		`{"os-collect-config":{"heat":7}}`:  {Collectors: metadata.DefaultCollectors(), PollingInterval: 30 * time.Second},
		`{"os-collect-config":{"splay":3}}`: {Collectors: metadata.DefaultCollectors(), PollingInterval: 30 * time.Second, Splay: 3 * time.Second},
		`{"os-collect-config":{"cachedir":"relative","polling_interval":0.01,"collectors":["local","no-such","local"]}}`: {Collectors: []string{"local"}, PollingInterval: time.Second},
	} {
		merged, err := metadata.Merge([]metadata.Document{parse(t, "a", raw)})
		if err != nil {
			t.Fatal(err)
		}
		if got := metadata.ReadSettings(merged); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %+v, want %+v", raw, got, want)
		}
	}
}

func TestTheLastDocumentWithDeploymentsDecides(t *testing.T) {
	docs := []metadata.Document{
		parse(t, "a", `{"deployments":[{"id":"1","group":"script"}]}`),
		parse(t, "b", `{"deployments":[{"id":"2","group":"script"},{"id":"../etc","group":"script"},{"id":"3"},{"id":"2"}]}`),
		parse(t, "c", `{}`),
	}
	list, errs := metadata.Deployments(docs)
	var ids []string
	for _, d := range list {
		ids = append(ids, d.ID)
	}
	if !slices.Equal(ids, []string{"2", "3"}) || len(errs) != 2 {
		t.Errorf("ids %v, errors %v", ids, errs)
	}
	list, _ = metadata.Deployments(append(docs, parse(t, "d", `{"deployments":null}`)))
	if len(list) != 0 {
		t.Errorf("null left %d deployments", len(list))
	}
}

func TestConfigurationToMergeFollowsItsDocument(t *testing.T) {
	docs, errs := parse(t, "heat", `{"deployments":[
		{"id":"1","name":"script","group":"script","config":"x"},
		{"id":"2","name":"conf","group":"os-apply-config","config":{"keystone":{"db":"m"}}},
		{"id":"3","name":"bare","config":{"a":1}},
		{"id":"4","name":"null","group":null,"config":{"a":2}},
		{"id":"5","name":"../../etc/passwd","group":"Heat::Ungrouped","config":{"a":3}},
		{"id":"6","name":"text","group":"Heat::Ungrouped","config":"no object"}]}`).Explode()
	var names []string
	for _, doc := range docs {
		names = append(names, doc.Name)
	}
	if !slices.Equal(names, []string{"heat", "conf", "bare", "null"}) || len(errs) != 2 {
		t.Errorf("documents %v, errors %v", names, errs)
	}
}

func TestInputsBecomeTheTextsThatScriptsKnow(t *testing.T) {
	for _, test := range []struct{ kind, value, want string }{
		{"String", `"text"`, "text"},
		{"String", `null`, ""}, // was None
		{"String", `5`, "5"},
		{"String", `true`, "True"},
		{"Number", `5`, "5"}, // broke the hook
		{"Number", `5.50`, "5.50"},
		{"Boolean", `true`, "true"}, // broke the hook
		{"Json", `null`, ""},        // broke the hook
		{"Json", `{"b":[1,2.0,"é\n"],"a":null}`, `{"b": [1, 2.0, "\u00e9\n"], "a": null}`},
		{"CommaDelimitedList", `["a","b"]`, `["a", "b"]`},
		{"", `"x\ty"`, "x\ty"},
	} {
		input := metadata.Input{Name: "i", Type: test.kind, Value: json.RawMessage(test.value)}
		if got := input.Text(); got != test.want {
			t.Errorf("%s %s became %q, want %q", test.kind, test.value, got, test.want)
		}
	}
	if got := (metadata.Input{Name: "i"}).Text(); got != "" {
		t.Errorf("no value became %q", got)
	}
}

func TestListsAndObjectsAreSpelledAsPythonDoes(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed: nothing to compare with")
	}
	for _, value := range []string{
		`[]`, `{}`, `[[],{}]`, `{"z":1,"a":{"k":[true,false,null]}}`,
		`["\u0000\u001f\u007f\"\\/<>&é漢😀\b\f\r"]`,
		`[0,-1,12345678901234567890,1.0,1.50,-0.0,1e3,1e16,1.5e300,0.0001,0.00001,1e22,123456789.123456789]`,
	} {
		cmd := exec.Command(python, "-c", "import json,sys; sys.stdout.write(json.dumps(json.load(sys.stdin)))")
		cmd.Stdin = strings.NewReader(value)
		want, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		input := metadata.Input{Name: "i", Type: "Json", Value: json.RawMessage(value)}
		if got := input.Text(); got != string(want) {
			t.Errorf("%s became\n%s, in Python\n%s", value, got, want)
		}
	}
}

func TestInputsThatNoProcessCanHaveAreNamedWithoutTheirValues(t *testing.T) {
	d := deployments(t, `[{"id":"1","inputs":[{"name":"good","value":"v"},{"name":"a=b","value":"hunter2"},{"name":"nul","value":"hun\u0000ter2"},{"name":"","value":"x"}]}]`)[0]
	env, err := d.Environment()
	if !slices.Equal(env, []string{"good=v"}) || err == nil || strings.Contains(err.Error(), "ter2") || !strings.Contains(err.Error(), "input nul") {
		t.Errorf("environment %q, error %v", env, err)
	}
}

func TestNullsAreTolerated(t *testing.T) {
	d := deployments(t, `[{"id":"1","name":null,"group":"script","inputs":null,"outputs":null,"options":null,"config":null,"creation_time":null}]`)[0]
	if env, err := d.Environment(); len(env) != 0 || err != nil {
		t.Errorf("environment %v, %v", env, err)
	}
	if _, err := d.Script(); err == nil {
		t.Error("null is no script")
	}
	doc, err := d.Document()
	if err != nil || !strings.Contains(string(doc), `"inputs":[]`) {
		t.Errorf("document %s, %v", doc, err)
	}
}

func TestAComponentIsWhatItHasForTheAction(t *testing.T) {
	d := deployments(t, `[{"id":"1","group":"component","config":{"configs":[
		{"actions":["CREATE"],"config":"create","tool":"script"},
		{"actions":["UPDATE","RESUME"],"config":"update","tool":"ansible"}]},
		"inputs":[{"name":"deploy_action","type":"String","value":"RESUME"}]}]`)[0]
	resolved, err := d.Resolve()
	if err != nil || resolved.Group != "ansible" {
		t.Fatalf("resolved to %s, %v", resolved.Group, err)
	}
	doc, err := resolved.Document()
	if err != nil || !strings.Contains(string(doc), `"config":"update"`) || !strings.Contains(string(doc), `"group":"ansible"`) {
		t.Errorf("document %s, %v", doc, err)
	}
	d.Inputs[0].Value = json.RawMessage(`"DELETE"`)
	if _, err := d.Resolve(); !errors.Is(err, metadata.ErrNoConfig) {
		t.Errorf("error %v", err)
	}
}

func TestOptionsOfAnyFormAreTolerated(t *testing.T) {
	for raw, want := range map[string]metadata.Options{
		`{"timeout":90,"idempotent":true}`:     {Timeout: metadata.Seconds(90 * time.Second), Idempotent: true},
		`{"timeout":"1.5"}`:                    {Timeout: metadata.Seconds(1500 * time.Millisecond)},
		`{"timeout":-1,"idempotent":"yes"}`:    {},
		`{"timeout":{"a":1},"modulepath":"x"}`: {},
		`[]`:                                   {},
	} {
		d := deployments(t, `[{"id":"1","options":`+raw+`}]`)[0]
		if d.Options != want {
			t.Errorf("%s: %+v, want %+v", raw, d.Options, want)
		}
	}
}

func FuzzMetadata(f *testing.F) {
	f.Add([]byte(`{"deployments":[{"id":"1","name":"n","group":"script","config":"#!/bin/sh","options":{"timeout":1},"inputs":[{"name":"i","type":"String","value":null}],"outputs":[{"name":"o","type":"String","error_output":true}]}],"os-collect-config":{"collectors":["heat"],"heat":{"user_id":null}}}`))
	f.Add([]byte(`{"deployments":[{"id":"1","group":"component","config":{"configs":[{"actions":["CREATE"],"config":{"a":[1.0]},"tool":"t"}]},"inputs":[{"name":"deploy_action","value":"CREATE"}]},{"id":"2","name":"m","config":{"x":{}}}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		doc, err := metadata.Parse("fuzz", raw)
		if err != nil {
			return
		}
		docs, _ := doc.Explode()
		merged, err := metadata.Merge(docs)
		if err != nil {
			t.Fatalf("parsed and does not merge: %v", err)
		}
		metadata.ReadSettings(merged)
		list, _ := metadata.Deployments(docs)
		for _, d := range list {
			if !metadata.ValidName(d.ID) || strings.Contains(d.ID, "/") {
				t.Fatalf("id %q is no name of a file", d.ID)
			}
			env, _ := d.Environment()
			for _, pair := range env {
				if strings.ContainsRune(pair, 0) || strings.HasPrefix(pair, "=") {
					t.Fatalf("environment %q", pair)
				}
			}
			resolved, err := d.Resolve()
			if err != nil {
				continue
			}
			if out, err := resolved.Document(); err != nil || !json.Valid(out) {
				t.Fatalf("document %s: %v", out, err)
			}
		}
	})
}

func TestNamesOfFilesFromOutsideAreNarrow(t *testing.T) {
	for name, want := range map[string]bool{
		"ec2": true, "_a": true, "9": true, "Deploy-1.2+x:@=_": true, strings.Repeat("a", 200): true,
		"": false, ".": false, "..": false, "-rf": false, "a/b": false, "a b": false, "a\n": false, "a\x00": false, "ä": false, strings.Repeat("a", 201): false,
	} {
		if got := metadata.ValidName(name); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}
