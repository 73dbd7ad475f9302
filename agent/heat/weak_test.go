package heat_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/heat"
	"slipway.build/slipway/agent/heat/ledger"
	"slipway.build/slipway/agent/heat/testcloud"
)

// Each test here is one failure of heat-container-agent and os-collect-config that is gone, in
// the order of docs/heat.md.

// 1: the state said deployed before the hook ran, so a crash in the middle left the stack waiting.
func TestWeakPoint1AStopInTheMiddleIsReported(t *testing.T) {
	for _, idempotent := range []bool{false, true} {
		t.Run(fmt.Sprintf("idempotent %v", idempotent), func(t *testing.T) {
			r := newRig(t)
			r.boot(r.cloud.HeatSection())
			gate := filepath.Join(r.dir, "gate")
			r.cloud.Deploy(testcloud.Deployment{
				ID: "d", Config: r.counting("d", "while [ ! -e "+gate+" ]; do sleep 0.02; done; echo finished"),
				Options: map[string]any{"idempotent": idempotent},
			})
			r.start()
			r.await("it to run", func(*status) bool { return r.runs("d") == 1 })
			r.stop()
			r.put("gate", "", 0o600)
			r.start()
			result := r.cloud.AwaitResult("d")
			if idempotent {
				if result.Status != testcloud.Complete || r.runs("d") != 2 {
					t.Errorf("ran %d times, %+v", r.runs("d"), result)
				}
				return
			}
			text, _ := result.Outputs["deploy_stderr"].(string)
			if result.Status != testcloud.Failed || r.runs("d") != 1 || !strings.Contains(text, "whether it did its work is not known") {
				t.Errorf("ran %d times, %+v", r.runs("d"), result)
			}
		})
	}
}

// 2: a signal that was answered with 4xx or 5xx, or for which Keystone failed, was lost.
func TestWeakPoint2ASignalIsSaidUntilItIsAccepted(t *testing.T) {
	for _, test := range []struct{ transport, kind string }{
		{testcloud.HeatSignal, testcloud.Signal}, {testcloud.HeatSignal, testcloud.Token},
		{testcloud.CFNSignals, testcloud.CFNSignal}, {testcloud.TempURLSignal, testcloud.SwiftPut}, {testcloud.ZaqarSignal, testcloud.ZaqarPost},
	} {
		t.Run(test.transport+" with faults of "+test.kind, func(t *testing.T) {
			r := newRig(t)
			r.boot(r.cloud.HeatSection())
			r.start()
			r.polled(testcloud.Metadata, 1) // the server's own token is there
			r.cloud.Fail(test.kind, 500, 0, 404)
			r.cloud.Deploy(testcloud.Deployment{ID: "d", Transport: test.transport, Config: r.counting("d", "")})
			if result := r.cloud.AwaitResult("d"); result.Status != testcloud.Complete || r.cloud.Left(test.kind) != 0 {
				t.Errorf("%+v, %d faults are left", result, r.cloud.Left(test.kind))
			}
			if n := r.runs("d"); n != 1 {
				t.Errorf("it ran %d times", n)
			}
		})
	}
}

// 3: more output than a request may hold lost the signal.
func TestWeakPoint3AnyAmountOfOutputIsReported(t *testing.T) {
	if testing.Short() {
		t.Skip("short: it is the amount that takes the time")
	}
	r := newRig(t)
	r.boot(r.cloud.HeatSection())
	r.cloud.Deploy(testcloud.Deployment{ID: "d", Config: "#!/usr/bin/env bash\nfor i in $(seq 20000); do echo \"Zeile $i: äöü 漢字 und noch etwas Text, damit es lang wird\"; done\necho the end"})
	r.start()
	result := r.cloud.AwaitResult("d")
	text, _ := result.Outputs["deploy_stdout"].(string)
	if result.Status != testcloud.Complete || !strings.HasPrefix(text, "[slipway: the first ") || !strings.HasSuffix(text, "the end\n") || strings.ContainsRune(text, '\uFFFD') {
		t.Errorf("%s: %d bytes from %.60q", result.Status, len(text), text)
	}
}

// 4: a null text was the word None, and numbers, booleans and nulls of other types broke the hook.
func TestWeakPoint4EveryInputHasAText(t *testing.T) {
	r := newRig(t)
	r.boot(r.cloud.HeatSection())
	r.cloud.Deploy(testcloud.Deployment{ID: "d", Config: "#!/bin/sh\necho \"$a|$b|$c|$d|$e\"", Inputs: []map[string]any{
		{"name": "a", "type": "String", "value": nil}, {"name": "b", "type": "Number", "value": 4}, {"name": "c", "type": "Boolean", "value": true},
		{"name": "d", "type": "Json", "value": nil}, {"name": "e", "type": "CommaDelimitedList", "value": []string{"x", "y"}},
	}})
	r.start()
	if result := r.cloud.AwaitResult("d"); result.Outputs["deploy_stdout"] != `|4|true||["x", "y"]`+"\n" {
		t.Errorf("%+v", result)
	}
}

// 5: the hook logged the value of every input, passwords included.
func TestWeakPoint5NoInputIsLogged(t *testing.T) {
	r := newRig(t)
	r.boot(r.cloud.HeatSection())
	inputs := []map[string]any{{"name": "admin_password", "type": "String", "value": "hunter2-of-the-input"}, {"name": "plain", "type": "String", "value": "plain-value-of-the-input"}}
	r.cloud.Deploy(testcloud.Deployment{ID: "good", Config: "#!/bin/sh\n:", Inputs: inputs})
	r.cloud.Deploy(testcloud.Deployment{ID: "bad", Config: "#!/bin/sh\nexit 1", Inputs: inputs})
	r.cloud.Deploy(testcloud.Deployment{ID: "none", Group: "nobody", Config: "x", Inputs: inputs})
	r.cloud.Deploy(testcloud.Deployment{ID: "odd", Config: "#!/bin/sh\n:", Inputs: append(inputs, map[string]any{"name": "a=b", "value": "hunter2-of-the-input"})})
	r.cloud.Fail(testcloud.Signal, 500, 403)
	r.start()
	for _, id := range []string{"good", "bad", "none", "odd"} {
		r.cloud.AwaitResult(id)
	}
	r.stop()
	for where, text := range map[string]string{"log": r.log.String(), "status": r.read("run/heat.json")} {
		for _, secret := range []string{"of-the-input", "password-of-", "server-password", "token-1", "Signature="} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s holds %s:\n%s", where, secret, text)
			}
		}
	}
	for _, name := range []string{"state/ledger.db", "deployed/good.json", "deployed/good.notify.json", "occ/heat.json", "run-occ/heat.json", "run-hc/heat-config", "run/heat.json", "work/good"} {
		if info, err := os.Stat(filepath.Join(r.dir, name)); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s can be read by others: %v", name, err)
		}
	}
}

// 6: what went wrong with one deployment was swallowed and the change committed.
func TestWeakPoint6WhatFailsForAReasonOfTheMachineIsTriedAgain(t *testing.T) {
	r := newRig(t)
	r.boot(r.cloud.HeatSection())
	r.put("deployed", "a file where the state directory should be", 0o600)
	r.cloud.Deploy(testcloud.Deployment{ID: "d", Config: r.counting("d", "")})
	r.cloud.Deploy(testcloud.Deployment{ID: "unlucky neighbour", Name: "n", Config: r.counting("n", "")})
	r.start()
	r.await("the fault to be shown", func(s *status) bool { return strings.Contains(s.Faults["work"], "deployment d") })
	if r.read("occ/heat.json.last") != "" || r.runs("d") != 0 {
		t.Error("the change is committed, or it was run before that could be written down")
	}
	if !strings.Contains(r.log.String(), "cannot be the name of a file") {
		t.Error("a deployment that cannot be used is not spoken of")
	}
	if err := os.Remove(filepath.Join(r.dir, "deployed")); err != nil {
		t.Fatal(err)
	}
	if result := r.cloud.AwaitResult("d"); result.Status != testcloud.Complete || r.runs("d") != 1 {
		t.Errorf("%+v", result)
	}
	if r.read("occ/heat.json.last") != "" {
		t.Error("the change is committed, though a part of it cannot be used")
	}
	r.cloud.Withdraw("unlucky neighbour")
	r.await("the commit", func(*status) bool { return r.read("occ/heat.json.last") != "" })
}

// 6, its other half: an unknown group was an error in the log and no signal.
func TestWeakPoint6AGroupThatNobodyKnowsFails(t *testing.T) {
	r := newRig(t)
	r.boot(r.cloud.HeatSection())
	r.cloud.Deploy(testcloud.Deployment{ID: "d", Group: "ansible", Config: "x"})
	r.start()
	result := r.cloud.AwaitResult("d")
	text, _ := result.Outputs["deploy_stderr"].(string)
	if result.Status != testcloud.Failed || !strings.Contains(text, `group "ansible" is not known`) {
		t.Errorf("%+v", result)
	}
}

// 7: nothing was to be seen of a deployment that ran, and nothing of an agent that could not.
func TestWeakPoint7TheNodeTellsWhatItDoesAndWhatDoesNotWork(t *testing.T) {
	r := newRig(t)
	r.boot(r.cloud.HeatSection())
	gate := filepath.Join(r.dir, "gate")
	r.cloud.Deploy(testcloud.Deployment{ID: "d", Config: r.counting("d", "echo step one; while [ ! -e "+gate+" ]; do sleep 0.02; done")})
	r.start()
	r.await("a deployment that runs", func(s *status) bool { return len(s.Deployments) == 1 && s.Deployments[0].Step == ledger.Started })
	r.await("its output", func(*status) bool { return strings.Contains(r.read("log/d-d.log"), "step one") })
	r.cloud.Fail(testcloud.Metadata, slices.Repeat([]int{503}, 10_000)...) // until it was seen
	r.await("the source that is away", func(s *status) bool { return strings.Contains(s.Faults["heat"], "503") })
	r.cloud.Heal(testcloud.Metadata)
	r.put("gate", "", 0o600)
	r.cloud.AwaitResult("d")
	r.await("the source that is back", func(s *status) bool { return len(s.Faults) == 0 && s.Deployments[0].Telling == ledger.Sent })
}

// 8: a hook had no time limit, and held up everything behind it for ever.
func TestWeakPoint8WhatHangsIsEndedAndReportedAndTheNextOneRuns(t *testing.T) {
	r := newRig(t)
	r.boot(r.cloud.HeatSection())
	r.start()
	var result testcloud.Result
	// The limit has to be one within which a script gets to its first line.
	for limit := 300 * time.Millisecond; limit < time.Minute; limit *= 4 {
		id := "hangs-" + limit.String()
		r.cloud.Deploy(testcloud.Deployment{ID: id, Config: "#!/bin/sh\necho so far\nsleep 600", Options: map[string]any{"timeout": limit.Seconds()}})
		r.cloud.Deploy(testcloud.Deployment{ID: "next", Config: r.counting("next", "")})
		result = r.cloud.AwaitResult(id)
		if text, _ := result.Outputs["deploy_stderr"].(string); result.Status != testcloud.Failed || !strings.Contains(text, "time limit of "+limit.String()) {
			t.Fatalf("%+v", result)
		}
		if result.Outputs["deploy_stdout"] == "so far\n" {
			break
		}
		r.cloud.Withdraw("next")
	}
	if result.Outputs["deploy_stdout"] != "so far\n" {
		t.Errorf("%+v", result)
	}
	if result := r.cloud.AwaitResult("next"); result.Status != testcloud.Complete {
		t.Errorf("%+v", result)
	}
}

// 9: the agent was an image pulled by tag at boot, and ended by SIGPIPE to be started again. Ours
// is in the OS; what is left to show is that a cloud that is away at the boot costs nothing.
func TestWeakPoint9ACloudThatIsAwayAtTheBootIsWaitedFor(t *testing.T) {
	r := newRig(t)
	r.boot(r.cloud.HeatSection())
	r.cloud.Fail(testcloud.Token, 0, 500, 503, 401, 404)
	r.cloud.Fail(testcloud.Metadata, 500, 404, 403)
	r.cloud.Deploy(testcloud.Deployment{ID: "d", Config: r.counting("d", "")})
	r.start()
	if result := r.cloud.AwaitResult("d"); result.Status != testcloud.Complete || r.runs("d") != 1 {
		t.Errorf("%+v", result)
	}
}

func TestWhatHeatConfigHasDoneIsNotDoneAgain(t *testing.T) {
	for name, dir := range map[string]string{"in /var/lib": "deployed", "in /var/run, of old": "run-hc/deployed"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.boot(r.cloud.HeatSection())
			r.put(dir+"/done.json", "{}", 0o600)
			r.put(dir+"/done.notify.json", "{}", 0o600)
			r.put(dir+"/dead.json", "{}", 0o600) // heat-config died in it
			for _, id := range []string{"done", "dead", "new"} {
				r.cloud.Deploy(testcloud.Deployment{ID: id, Config: r.counting(id, "")})
			}
			r.start()
			if result := r.cloud.AwaitResult("new"); result.Status != testcloud.Complete {
				t.Errorf("%+v", result)
			}
			result := r.cloud.AwaitResult("dead")
			if text, _ := result.Outputs["deploy_stderr"].(string); result.Status != testcloud.Failed || !strings.Contains(text, "heat-config had started it") {
				t.Errorf("%+v", result)
			}
			if r.runs("done") != 0 || r.runs("dead") != 0 || len(r.cloud.Result("done").Signals) != 0 {
				t.Error("it was done again, or signalled again")
			}
		})
	}
}

func TestTheTransportOfTheAgentOfOldIsTakenOver(t *testing.T) {
	r := newRig(t)
	r.boot(r.cloud.CFNSection()) // user data is of the first boot, and out of date
	r.cloud.Set("os-collect-config", r.cloud.HeatSection("cfn"))
	r.put("occ/os_config_files.json", `["/var/lib/os-collect-config/ec2.json", "/var/lib/os-collect-config/heat.json"]`, 0o600)
	r.put("occ/ec2.json", `{"instance-id": "i-1"}`, 0o600)
	r.put("occ/heat.json", string(r.cloud.Document()), 0o600)
	r.cloud.Deploy(testcloud.Deployment{ID: "d", Config: r.counting("d", "")})
	r.start()
	if result := r.cloud.AwaitResult("d"); result.Status != testcloud.Complete || r.cloud.Calls(testcloud.CFN) != 0 {
		t.Errorf("%+v, and %d calls of the old transport", result, r.cloud.Calls(testcloud.CFN))
	}
}

func TestTheAgentsOfOldFindWhatTheyNeedToGoOn(t *testing.T) {
	r := newRig(t)
	r.boot(r.cloud.HeatSection())
	r.cloud.Deploy(testcloud.Deployment{ID: "d", Config: r.counting("d", "echo out"), Inputs: []map[string]any{{"name": "n", "type": "String", "value": 5}}})
	r.start()
	r.cloud.AwaitResult("d")
	r.await("the result's file", func(*status) bool { return r.read("deployed/d.notify.json") != "" })
	var mark struct {
		ID, Group string
		Inputs    []struct {
			Name  string
			Value any
		}
	}
	if err := json.Unmarshal([]byte(r.read("deployed/d.json")), &mark); err != nil || mark.ID != "d" || mark.Group != "script" || mark.Inputs[0].Value != "5" {
		t.Errorf("%+v, %v", mark, err)
	}
	if !strings.Contains(r.read("deployed/d.notify.json"), `"deploy_stdout": "out\n"`) {
		t.Errorf("result %s", r.read("deployed/d.notify.json"))
	}
}

func TestAnAcceptedSignalThatChangesNothingIsRepeated(t *testing.T) {
	r := newRig(t)
	r.config.Repeats = []time.Duration{50 * time.Millisecond, 50 * time.Millisecond}
	r.boot(r.cloud.HeatSection())
	r.cloud.Lazy(2)
	r.cloud.Deploy(testcloud.Deployment{ID: "d", Config: r.counting("d", "")})
	r.start()
	if result := r.cloud.AwaitResult("d"); result.Status != testcloud.Complete || len(result.Signals) != 3 {
		t.Errorf("%+v", result)
	}
	r.told("d", ledger.Settled)
	r.polled(testcloud.Metadata, 2)
	if n := len(r.cloud.Result("d").Signals); n != 3 {
		t.Errorf("%d signals", n)
	}
}

func TestASignalIsNotRepeatedOnceTheActionIsOver(t *testing.T) {
	r := newRig(t)
	r.config.Repeats = []time.Duration{2 * time.Second, 2 * time.Second, 2 * time.Second}
	r.boot(r.cloud.HeatSection())
	r.cloud.Deploy(testcloud.Deployment{ID: "create", Resource: "x", Config: r.counting("create", "")})
	r.start()
	r.cloud.AwaitResult("create")
	r.cloud.Deploy(testcloud.Deployment{ID: "update", Resource: "x", Config: r.counting("update", "while [ ! -e "+filepath.Join(r.dir, "gate")+" ]; do sleep 0.02; done; echo of the update")})
	r.told("create", ledger.Superseded) // when it was to be repeated, at the latest
	r.put("gate", "", 0o600)
	result := r.cloud.AwaitResult("update")
	if result.Outputs["deploy_stdout"] != "of the update\n" {
		t.Errorf("a repeat of the create answered for the update: %+v", result)
	}
}

func TestAPutInTheSecondOfTheDeploymentIsRepeated(t *testing.T) {
	r := newRig(t)
	r.boot(r.cloud.HeatSection())
	r.cloud.SkewClock(400 * time.Millisecond) // whichever it is, one of the two is within a second
	r.cloud.Deploy(testcloud.Deployment{ID: "d", Transport: testcloud.TempURLSignal, Config: "#!/bin/sh\n:"})
	r.start()
	if result := r.cloud.AwaitResult("d"); result.Status != testcloud.Complete {
		t.Errorf("%+v", result)
	}
}

func TestASignedAddressThatIsTooOldIsHeldAndSpokenOf(t *testing.T) {
	r := newRig(t)
	r.boot(r.cloud.HeatSection())
	r.cloud.Deploy(testcloud.Deployment{ID: "d", Transport: testcloud.CFNSignals, Config: r.counting("d", ""), SignedAt: time.Now().Add(-20 * time.Minute)})
	r.cloud.Deploy(testcloud.Deployment{ID: "e", Config: r.counting("e", "")})
	r.start()
	r.await("the refusal", func(s *status) bool { return strings.Contains(s.Faults["signal d"], "status 403") })
	if result := r.cloud.AwaitResult("e"); result.Status != testcloud.Complete {
		t.Errorf("%+v", result)
	}
	if !strings.Contains(r.log.String(), "auth_ttl") {
		t.Error("the log does not say what to do")
	}
	r.cloud.SkewClock(-10 * time.Minute) // the operator raised auth_ttl
	r.restart()
	if result := r.cloud.AwaitResult("d"); result.Status != testcloud.Complete || r.runs("d") != 1 {
		t.Errorf("%+v", result)
	}
}

func TestClocksThatDifferDoNoHarm(t *testing.T) {
	for _, skew := range []time.Duration{20 * time.Minute, -20 * time.Minute} {
		for _, collector := range []string{"heat", "cfn"} {
			t.Run(fmt.Sprintf("%s with %s", collector, skew), func(t *testing.T) {
				r := newRig(t)
				r.cloud.SkewClock(skew)
				r.boot(map[string]func() map[string]any{"heat": func() map[string]any { return r.cloud.HeatSection() }, "cfn": r.cloud.CFNSection}[collector]())
				r.cloud.Deploy(testcloud.Deployment{ID: "d", Transport: testcloud.CFNSignals, Config: r.counting("d", "")})
				r.cloud.Deploy(testcloud.Deployment{ID: "e", Config: r.counting("e", "")})
				r.start()
				for _, id := range []string{"d", "e"} {
					if result := r.cloud.AwaitResult(id); result.Status != testcloud.Complete {
						t.Errorf("%+v", result)
					}
				}
			})
		}
	}
}

func TestAMebibyteOfConfigurationIsRun(t *testing.T) {
	if testing.Short() {
		t.Skip("short: it is the amount that takes the time")
	}
	r := newRig(t)
	r.boot(r.cloud.CFNSection())
	r.cloud.Deploy(testcloud.Deployment{ID: "d", Config: "#!/bin/sh\n: <<'E'\n" + strings.Repeat("<&> "+strings.Repeat("x", 80)+" é\n", 1<<20/88) + "E\necho done"})
	r.start()
	if result := r.cloud.AwaitResult("d"); result.Outputs["deploy_stdout"] != "done\n" {
		t.Errorf("%+v", result)
	}
}

func TestOneAgentAtATimeIsInHeatMode(t *testing.T) {
	r := newRig(t)
	r.boot(r.cloud.HeatSection())
	r.start()
	r.polled(testcloud.Metadata, 1)
	err := heat.Run(t.Context(), r.config, discard())
	if err == nil || !strings.Contains(err.Error(), "another slipway-agent") {
		t.Errorf("error %v", err)
	}
}

func TestHeatModeIsWantedByUserDataAndNotBesideAControlPlane(t *testing.T) {
	dir := t.TempDir()
	config, agent := place(dir), filepath.Join(dir, "agent.yaml")
	if config.Wanted(agent) {
		t.Error("without user data")
	}
	if err := os.WriteFile(config.InitData, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !config.Wanted(agent) {
		t.Error("with user data")
	}
	if err := errors.Join(os.WriteFile(agent, nil, 0o600)); err != nil || config.Wanted(agent) {
		t.Error("with a control plane")
	}
}
