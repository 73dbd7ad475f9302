package heat_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway.build/slipway/agent/heat/ledger"
	"slipway.build/slipway/agent/heat/metadata"
	"slipway.build/slipway/agent/heat/notify"
	"slipway.build/slipway/agent/heat/testcloud"
)

func TestADeploymentIsRunOnceAndItsResultReachesHeatByEveryTransport(t *testing.T) {
	for _, collector := range []string{"heat", "cfn", "request", "zaqar"} {
		for _, transport := range []string{testcloud.HeatSignal, testcloud.CFNSignals, testcloud.TempURLSignal, testcloud.ZaqarSignal, testcloud.NoSignal} {
			if collector != "heat" && transport != testcloud.HeatSignal && testing.Short() {
				continue // the ways in and out know nothing of each other
			}
			t.Run(collector+" and "+transport, func(t *testing.T) {
				r := newRig(t)
				r.boot(map[string]func() map[string]any{
					"heat": func() map[string]any { return r.cloud.HeatSection() }, "cfn": r.cloud.CFNSection,
					"request": r.cloud.RequestSection, "zaqar": r.cloud.ZaqarSection,
				}[collector]())
				r.cloud.Deploy(testcloud.Deployment{
					ID: "d", Transport: transport, Config: r.counting("d", "echo hello; echo -n v > $heat_outputs_path.result"),
					Outputs: []map[string]any{{"name": "result", "type": "String"}},
				})
				r.start()
				switch transport {
				case testcloud.NoSignal:
					r.await("the end", func(s *status) bool { return len(s.Deployments) == 1 && s.Deployments[0].Step == ledger.Finished })
				default:
					result := r.cloud.AwaitResult("d")
					if result.Status != testcloud.Complete || result.Outputs["result"] != "v" || result.Outputs["deploy_stdout"] != "hello\n" {
						t.Errorf("%+v", result)
					}
				}
				r.restart()
				r.await("the deployment after a restart", func(s *status) bool { return len(s.Deployments) == 1 })
				if n := r.runs("d"); n != 1 {
					t.Errorf("it ran %d times", n)
				}
			})
		}
	}
}

func TestDeploymentsRunInTheGivenOrderAndOneThatFailsDoesNotStopTheOthers(t *testing.T) {
	r := newRig(t)
	r.boot(r.cloud.HeatSection())
	for i, end := range []string{"exit 0", "exit 7", "exit 0"} {
		id := fmt.Sprintf("d%d", 3-i) // the list's order, not the ids'
		r.cloud.Deploy(testcloud.Deployment{ID: id, Config: "#!/bin/sh\necho " + id + " >> " + filepath.Join(r.dir, "order") + "\n" + end})
	}
	r.start()
	var states []string
	for _, id := range []string{"d3", "d2", "d1"} {
		states = append(states, r.cloud.AwaitResult(id).Status)
	}
	if got := r.read("order"); got != "d3\nd2\nd1\n" {
		t.Errorf("order %q", got)
	}
	if !slices.Equal(states, []string{testcloud.Complete, testcloud.Failed, testcloud.Complete}) {
		t.Errorf("states %v", states)
	}
}

func TestAnUpdateIsANewDeploymentAndTheOldResultDoesNotAnswerForIt(t *testing.T) {
	r := newRig(t)
	r.boot(r.cloud.HeatSection())
	gate := filepath.Join(r.dir, "gate")
	r.cloud.Deploy(testcloud.Deployment{ID: "create", Resource: "deploy", Config: r.counting("create", "while [ ! -e "+gate+" ]; do sleep 0.02; done; echo of the create")})
	r.start()
	r.await("the create to run", func(*status) bool { return r.runs("create") == 1 })
	r.cloud.Deploy(testcloud.Deployment{ID: "update", Resource: "deploy", Action: "UPDATE", Config: r.counting("update", "echo of the $deploy_action")})
	r.put("gate", "", 0o600) // it ends before the next poll
	result := r.cloud.AwaitResult("update")
	if result.Outputs["deploy_stdout"] != "of the UPDATE\n" || len(result.Signals) != 1 {
		t.Errorf("the update was answered by %+v", result)
	}
	r.told("create", ledger.Superseded)
}

func TestAListThatChangesItsFormRunsNothingAgain(t *testing.T) {
	r := newRig(t)
	r.boot(r.cloud.HeatSection())
	var all []testcloud.Deployment
	for _, id := range []string{"a", "b", "c"} {
		d := testcloud.Deployment{ID: id, Config: r.counting(id, "")}
		all = append(all, d)
		r.cloud.Deploy(d)
	}
	r.start()
	for _, d := range all {
		r.cloud.AwaitResult(d.ID)
	}
	r.cloud.Reverse()
	r.polled(testcloud.Metadata, 2)
	r.cloud.Withdraw("a")
	r.cloud.Withdraw("b")
	r.cloud.Withdraw("c")
	r.polled(testcloud.Metadata, 2)
	for _, d := range all {
		r.cloud.Deploy(d)
	}
	r.cloud.Deploy(testcloud.Deployment{ID: "last", Config: r.counting("last", "")})
	r.cloud.AwaitResult("last")
	for _, d := range all {
		if n := r.runs(d.ID); n != 1 {
			t.Errorf("%s ran %d times", d.ID, n)
		}
	}
}

func TestTheTransportChangesWhileItRunsAndStaysChangedAfterARestart(t *testing.T) {
	r := newRig(t)
	r.boot(r.cloud.CFNSection())
	r.cloud.Deploy(testcloud.Deployment{ID: "by-cfn", Config: r.counting("by-cfn", "")})
	r.start()
	r.cloud.AwaitResult("by-cfn")
	section := r.cloud.HeatSection("cfn")
	section["polling_interval"] = 1
	r.cloud.Fail(testcloud.Metadata, 503, 503, 503) // the new one is slow to come
	r.cloud.Set("os-collect-config", section)
	r.cloud.Await("Heat to be polled", func() bool { return r.cloud.Left(testcloud.Metadata) == 0 })
	r.cloud.Deploy(testcloud.Deployment{ID: "by-heat", Config: r.counting("by-heat", "")})
	r.cloud.AwaitResult("by-heat")
	r.stop()
	before := r.cloud.Calls(testcloud.CFN)
	r.start()
	r.cloud.Deploy(testcloud.Deployment{ID: "after", Config: r.counting("after", "")})
	r.cloud.AwaitResult("after")
	if n := r.cloud.Calls(testcloud.CFN) - before; n != 0 {
		t.Errorf("the old transport was asked %d times after a restart, with credentials that are gone", n)
	}
	if n := r.runs("by-cfn"); n != 1 {
		t.Errorf("it ran %d times", n)
	}
}

func TestConfigurationIsMergedForOSApplyConfigAndSignalled(t *testing.T) {
	r := newRig(t)
	r.boot(r.cloud.HeatSection())
	r.cloud.Set("keystone", map[string]any{"a": 1, "b": map[string]any{"c": 1}})
	r.cloud.Deploy(testcloud.Deployment{ID: "m1", Name: "conf", Group: "os-apply-config", Config: map[string]any{"keystone": map[string]any{"b": map[string]any{"d": 2}}}})
	r.cloud.Deploy(testcloud.Deployment{ID: "m2", Name: "bad", Group: "Heat::Ungrouped", Config: "no object"})
	r.start()
	if result := r.cloud.AwaitResult("m1"); result.Status != testcloud.Complete {
		t.Errorf("%+v", result)
	}
	if result := r.cloud.AwaitResult("m2"); result.Status != testcloud.Failed {
		t.Errorf("%+v", result)
	}
	if list := r.read("occ/os_config_files.json"); !strings.Contains(list, "/occ/heat.json") || !strings.Contains(list, "/occ/conf.json") {
		t.Errorf("list %s", list)
	}
	if !strings.Contains(r.read("occ/conf.json"), `"d": 2`) || !strings.Contains(r.read("run-hc/heat-config"), `"m1"`) {
		t.Error("the files are not there")
	}
}

func TestTheOperatorsCommandIsRunUntilItSucceedsAndOnlyForChanges(t *testing.T) {
	r := newRig(t)
	section := r.cloud.HeatSection()
	section["command"] = "echo x$OS_CONFIG_FILES >> " + filepath.Join(r.dir, "ran-command") + "; test -e " + filepath.Join(r.dir, "ready")
	r.boot(section)
	r.start()
	r.await("a second try", func(*status) bool { return r.runs("command") >= 2 })
	if r.read("occ/heat.json.last") != "" {
		t.Error("committed though the command failed")
	}
	r.put("ready", "", 0o600)
	r.await("the commit", func(*status) bool { return r.read("occ/heat.json.last") != "" })
	ran := r.runs("command")
	r.restart()
	r.polled(testcloud.Metadata, 3)
	if n := r.runs("command"); n != ran || !strings.Contains(r.read("ran-command"), "/occ/heat.json") {
		t.Errorf("it ran %d times, then %d", ran, n)
	}
}

func TestAComponentRunsWhatItHasForTheAction(t *testing.T) {
	r := newRig(t)
	r.boot(r.cloud.HeatSection())
	config := map[string]any{"configs": []map[string]any{
		{"actions": []string{"CREATE"}, "tool": "script", "config": r.counting("create", "")},
		{"actions": []string{"UPDATE"}, "tool": "script", "config": r.counting("update", "")},
	}}
	r.cloud.Deploy(testcloud.Deployment{ID: "c1", Resource: "c", Group: "component", Config: config})
	r.start()
	r.cloud.AwaitResult("c1")
	r.cloud.Deploy(testcloud.Deployment{ID: "c2", Resource: "c", Action: "UPDATE", Group: "component", Config: config})
	r.cloud.AwaitResult("c2")
	r.cloud.Deploy(testcloud.Deployment{ID: "c3", Resource: "c", Action: "SUSPEND", Group: "component", Config: config})
	if result := r.cloud.AwaitResult("c3"); result.Status != testcloud.Complete || r.runs("create") != 1 || r.runs("update") != 1 {
		t.Errorf("%+v, create %d, update %d", result, r.runs("create"), r.runs("update"))
	}
}

func TestAQuietServerIsAskedEverLessAndATokenIsKept(t *testing.T) {
	r := newRig(t)
	r.boot(r.cloud.HeatSection())
	r.start()
	r.polled(testcloud.Metadata, 8)
	if n := r.cloud.Calls(testcloud.Token); n != 1 {
		t.Errorf("%d tokens for %d polls", n, r.cloud.Calls(testcloud.Metadata))
	}
	r.cloud.ExpireTokens() // in the middle
	r.polled(testcloud.Metadata, 3)
	if n := r.cloud.Calls(testcloud.Token); n != 2 {
		t.Errorf("%d tokens", n)
	}
}

func TestASignalThatIsLeftDoesNotWaitForTheSplay(t *testing.T) {
	r := newRig(t)
	section := r.cloud.HeatSection()
	section["splay"] = 3600
	r.boot(section)
	r.cloud.Deploy(testcloud.Deployment{ID: "d", Config: r.counting("d", "")})
	doc, err1 := metadata.Parse("heat", r.cloud.Document())
	listed, errs := metadata.Deployments([]metadata.Document{doc})
	memory, err2 := ledger.Open(r.config.StateDir)
	if err := errors.Join(append(errs, err1, err2)...); err != nil {
		t.Fatal(err)
	}
	entry := ledger.Entry{ID: "d", Step: ledger.Finished, Telling: ledger.Pending, Target: notify.TargetOf(listed[0])}
	if err := errors.Join(memory.Finish(entry, []byte(`{"deploy_status_code":0}`)), memory.Close()); err != nil {
		t.Fatal(err)
	}
	r.start() // looks for metadata within the hour
	if result := r.cloud.AwaitResult("d"); result.Status != testcloud.Complete || r.runs("d") != 0 {
		t.Errorf("%+v, ran %d times", result, r.runs("d"))
	}
}
