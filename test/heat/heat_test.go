//go:build heat

package heat

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// hello says who it is, and has an output.
const hello = "#!/bin/bash\necho \"$deploy_action of $who\"\necho -n \"out of $who\" > $heat_outputs_path.result\n"

func greeting(name, signal string) deployment {
	return deployment{
		name: name, signal: signal, config: hello, values: object{"who": name},
		inputs: []object{{"name": "who"}}, outputs: []object{{"name": "result"}},
	}
}

func TestAStackIsCompleteByEveryTransportInAndOut(t *testing.T) {
	t.Parallel()
	for _, polling := range []string{pollHeat, pollCFN} {
		t.Run(polling, func(t *testing.T) {
			t.Parallel()
			s := create(t, template{polling, []deployment{
				greeting("by_heat", signalHeat), greeting("by_cfn", signalCFN), greeting("by_none", signalNone),
			}})
			s.becomes("CREATE_COMPLETE")
			for _, name := range []string{"by_heat", "by_cfn"} {
				r := s.result(name)
				if r.Status != "COMPLETE" || r.Outputs["deploy_stdout"] != "CREATE of "+name+"\n" || r.Outputs["result"] != "out of "+name {
					t.Errorf("%s: %+v", name, r)
				}
			}
			s.await("the deployment without a signal to run", func() bool { return s.logged("-by_none", "CREATE of by_none") == 1 })
		})
	}
}

func TestAScriptThatFailsFailsTheStackWithItsOwnWords(t *testing.T) {
	t.Parallel()
	for _, signal := range []string{signalHeat, signalCFN} {
		t.Run(signal, func(t *testing.T) {
			t.Parallel()
			s := create(t, template{pollHeat, []deployment{
				{name: "bad", signal: signal, config: "#!/bin/sh\necho before\necho 'the disk is on fire' >&2\nexit 7\n"},
				greeting("never", signalHeat),
			}})
			reason := s.becomes("CREATE_FAILED")
			r := s.result("bad")
			if r.Status != "FAILED" || r.Outputs["deploy_stderr"] != "the disk is on fire\n" || r.Outputs["deploy_stdout"] != "before\n" || text(r.Outputs["deploy_status_code"]) != "7" {
				t.Errorf("%+v", r)
			}
			if !strings.Contains(reason, "non-zero status code: 7") {
				t.Errorf("the stack's reason is %q", reason)
			}
			if s.logged("-never", "") != 0 {
				t.Error("what waits for it was run")
			}
		})
	}
}

func TestAnErrorOutputFailsTheStack(t *testing.T) {
	t.Parallel()
	s := create(t, template{pollHeat, []deployment{{
		name: "bad", config: "#!/bin/sh\necho -n 'no quorum' > $heat_outputs_path.problem\n", outputs: []object{{"name": "problem", "error_output": true}},
	}}})
	if reason := s.becomes("CREATE_FAILED"); !strings.Contains(reason, "no quorum") {
		t.Errorf("the stack's reason is %q", reason)
	}
}

func TestInputsOfEveryTypeReachTheScript(t *testing.T) {
	t.Parallel()
	s := create(t, template{pollHeat, []deployment{{
		name: "types", config: "#!/bin/bash\nprintf '%s|' \"$text\" \"$number\" \"$yes\" \"$list\" \"$map\" \"$unset\" \"$deploy_action\" \"$deploy_resource_name\"\n",
		inputs: []object{
			{"name": "text"}, {"name": "number", "type": "Number"}, {"name": "yes", "type": "Boolean"},
			{"name": "list", "type": "CommaDelimitedList"}, {"name": "map", "type": "Json"}, {"name": "unset"},
		},
		values: object{"text": "äöü \"quoted\" $HOME", "number": 4.5, "yes": true, "list": []string{"a", "b"}, "map": object{"k": []int{1, 2}}},
	}}})
	s.becomes("CREATE_COMPLETE")
	const want = `äöü "quoted" $HOME|4.5|true|["a", "b"]|{"k": [1, 2]}||CREATE|types|`
	if got := s.result("types").Outputs["deploy_stdout"]; got != want {
		t.Errorf("the script saw\n%v\nwant\n%s", got, want)
	}
}

// Deletion is not here: Heat asks Nova for the server before it deletes a deployment.
func TestAnUpdateIsADeploymentOfItsOwn(t *testing.T) {
	t.Parallel()
	first := greeting("work", signalHeat)
	s := create(t, template{pollHeat, []deployment{first}})
	s.becomes("CREATE_COMPLETE")
	second := first
	second.values = object{"who": "the second"}
	s.update(template{pollHeat, []deployment{second}})
	s.becomes("UPDATE_COMPLETE")
	if r := s.result("work"); r.Action != "UPDATE" || r.Outputs["deploy_stdout"] != "UPDATE of the second\n" {
		t.Errorf("%+v", r)
	}
	for _, action := range []string{"CREATE of work", "UPDATE of the second"} {
		if n := s.logged("", action); n != 1 {
			t.Errorf("%q was run %d times", action, n)
		}
	}
}

// The other direction fails in Heat itself: the user that it has made for CFN gets no password
// afterwards (heat, stack_user.py:_create_user), so Keystone refuses every agent with 401.
func TestTheTransportOfAServerChangesWhileItsAgentRuns(t *testing.T) {
	t.Parallel()
	s := create(t, template{pollHeat, []deployment{greeting("work", signalHeat)}})
	s.becomes("CREATE_COMPLETE")
	s.update(template{pollCFN, []deployment{greeting("work", signalHeat), greeting("more", signalHeat)}})
	s.becomes("UPDATE_COMPLETE")
	s.kill()
	s.start() // with the first metadata, which names the old one
	s.update(template{pollCFN, []deployment{greeting("work", signalHeat), greeting("more", signalHeat), greeting("last", signalHeat)}})
	s.await("the last deployment", func() bool { return s.logged("-last", "CREATE of last") == 1 })
	s.becomes("UPDATE_COMPLETE")
	if n := s.logged("", "CREATE of work"); n != 1 {
		t.Errorf("it was run %d times", n)
	}
}

func TestConfigurationIsMergedAndComponentsGoByAction(t *testing.T) {
	t.Parallel()
	component := deployment{name: "part", kind: "OS::Heat::SoftwareComponent", config: []object{
		{"actions": []string{"CREATE"}, "tool": "script", "config": "#!/bin/sh\necho made"},
		{"actions": []string{"UPDATE"}, "tool": "script", "config": "#!/bin/sh\necho changed"},
	}, inputs: []object{{"name": "n"}}, values: object{"n": "1"}}
	s := create(t, template{pollHeat, []deployment{
		{name: "conf", kind: "OS::Heat::StructuredConfig", group: "os-apply-config", config: object{"keystone": object{"db": "mysql://"}}}, component,
	}})
	s.becomes("CREATE_COMPLETE")
	if r := s.result("part"); r.Outputs["deploy_stdout"] != "made\n" {
		t.Errorf("%+v", r)
	}
	if got := s.read("var/lib/os-collect-config/conf.json"); !strings.Contains(got, "mysql://") {
		t.Errorf("the merged configuration is %q", got)
	}
	component.values = object{"n": "2"}
	s.update(template{pollHeat, []deployment{
		{name: "conf", kind: "OS::Heat::StructuredConfig", group: "os-apply-config", config: object{"keystone": object{"db": "sqlite://"}}}, component,
	}})
	s.becomes("UPDATE_COMPLETE")
	if r := s.result("part"); r.Outputs["deploy_stdout"] != "changed\n" {
		t.Errorf("%+v", r)
	}
	if got := s.read("var/lib/os-collect-config/conf.json"); !strings.Contains(got, "sqlite://") {
		t.Errorf("the merged configuration is %q", got)
	}
}

func TestMoreOutputThanHeatTakesIsCutAndTheStackIsComplete(t *testing.T) {
	t.Parallel()
	s := create(t, template{pollHeat, []deployment{{
		name: "loud", config: "#!/usr/bin/env bash\nfor i in $(seq 30000); do echo \"line $i: äöü and some more text so that it gets long enough\"; done\necho the end",
	}}})
	s.becomes("CREATE_COMPLETE")
	out, _ := s.result("loud").Outputs["deploy_stdout"].(string)
	if !strings.HasPrefix(out, "[slipway: the first ") || !strings.HasSuffix(out, "the end\n") {
		t.Errorf("%d bytes, which begin %.80q", len(out), out)
	}
}

func TestAnAgentThatIsKilledInTheMiddleOfAScriptSaysSoWhenItIsBack(t *testing.T) {
	t.Parallel()
	s := create(t, template{pollHeat, []deployment{{name: "long", config: "#!/bin/sh\necho begun\nsleep 600\n"}}})
	s.await("the script to run", func() bool { return s.logged("", "begun") == 1 })
	s.kill()
	s.start()
	s.becomes("CREATE_FAILED")
	if r := s.result("long"); !strings.Contains(text(r.Outputs["deploy_stderr"]), "whether it did its work is not known") {
		t.Errorf("%+v", r)
	}
}

func TestAHookThatIsMissingFailsTheStack(t *testing.T) {
	t.Parallel()
	s := create(t, template{pollHeat, []deployment{{name: "odd", group: "puppet", config: "node default {}"}}})
	s.becomes("CREATE_FAILED")
	if r := s.result("odd"); !strings.Contains(text(r.Outputs["deploy_stderr"]), `group \"puppet\" is not known`) {
		t.Errorf("%+v", r)
	}
}

// It stops Keystone, so it runs alone, before those that run beside each other.
func TestAResultWaitsForAKeystoneThatIsAway(t *testing.T) {
	s := create(t, template{pollHeat, []deployment{{
		name: "long", config: "#!/bin/sh\necho begun\nuntil [ -e \"${heat_outputs_path%/*}/gate\" ]; do sleep 0.1; done\necho ended\n",
	}}})
	s.await("the script to wait", func() bool { return s.logged("-long", "begun") == 1 })
	keystone.end(unix.SIGKILL)
	s.put("var/run/heat-config/heat-config-script/gate", "")
	s.await("the agent to find nobody", func() bool { return strings.Contains(s.read("agent.log"), "Heat does not have the result yet") })
	if err := keystone.start(); err != nil {
		t.Fatal(err)
	}
	s.becomes("CREATE_COMPLETE")
	if r := s.result("long"); r.Outputs["deploy_stdout"] != "begun\nended\n" {
		t.Errorf("%+v", r)
	}
}
