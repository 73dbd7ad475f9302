package hooks_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"slipway.build/slipway/agent/heat/hooks"
	"slipway.build/slipway/agent/heat/metadata"
	"slipway.build/slipway/agent/heat/notify"
	"slipway.build/slipway/agent/protocol"
)

func newRunner(t *testing.T) (*hooks.Runner, string) {
	dir := t.TempDir()
	return &hooks.Runner{
		WorkDir: filepath.Join(dir, "work"), OutputsDir: filepath.Join(dir, "run"), LogDir: filepath.Join(dir, "log"),
		HookDirs: []string{filepath.Join(dir, "hooks1"), filepath.Join(dir, "hooks2")}, Timeout: time.Minute, Grace: time.Second,
	}, dir
}

// deployment makes one of its JSON with an id and a configuration.
func deployment(t *testing.T, group, config, more string) metadata.Deployment {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	if more != "" {
		more = "," + more
	}
	list, errs := metadata.ParseDeployments(json.RawMessage(`[{"id":"d1","name":"the_name","group":"` + group + `","config":` + string(text) + more + `}]`))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return list[0]
}

func run(t *testing.T, r *hooks.Runner, d metadata.Deployment) notify.Result {
	t.Helper()
	result, err := r.Run(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func install(t *testing.T, dir, name, text string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

func TestAScriptHasTheEnvironmentPlaceAndOutputsThatItKnows(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "/run/systemd/notify")
	t.Setenv("OF_THE_AGENT", "yes")
	r, dir := newRunner(t)
	result := run(t, r, deployment(t, "script", `#!/bin/bash
echo "at $PWD as $0"
echo "agent $OF_THE_AGENT notify ${NOTIFY_SOCKET:-none} home $HOME"
printf '%s|' "$text" "$null" "$number" "$flag" "$object" "$deploy_action"
echo >&2 problems
cat
umask >&2
echo -n result > $heat_outputs_path.result
mkdir $heat_outputs_path.dir
echo undeclared > $heat_outputs_path.other
exit 3`, `"inputs":[
		{"name":"text","type":"String","value":"a b\n\"c\""},{"name":"null","type":"String","value":null},
		{"name":"number","type":"Number","value":4.50},{"name":"flag","type":"Boolean","value":false},
		{"name":"object","type":"Json","value":{"b":[1,"é"],"a":null}},{"name":"deploy_action","type":"String","value":"CREATE"}],
		"outputs":[{"name":"result"},{"name":"absent"},{"name":"dir"},{"name":"../../etc/hostname"}]`))
	want := "at " + r.WorkDir + " as " + r.WorkDir + "/d1\nagent yes notify none home " + os.Getenv("HOME") + "\na b\n\"c\"||4.50|false|" + `{"b": [1, "\u00e9"], "a": null}|CREATE|`
	if result.Stdout != want || !strings.HasPrefix(result.Stderr, "problems\n") || result.Status != 3 {
		t.Errorf("%+v\nwant %q", result, want)
	}
	if len(result.Outputs) != 1 || result.Outputs["result"] != "result" {
		t.Errorf("outputs %v", result.Outputs)
	}
	log, err := os.ReadFile(filepath.Join(dir, "log", "d1-the_name.log"))
	if err != nil || !strings.Contains(string(log), "problems") || !strings.Contains(string(log), "CREATE|") {
		t.Errorf("log %q, %v", log, err)
	}
	for _, path := range []string{filepath.Join(r.WorkDir, "d1"), filepath.Join(dir, "log", "d1-the_name.log"), dir + "/log"} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: others may read it, %v", path, err)
		}
	}
}

func TestOutputsOfAnEarlierRunAreGone(t *testing.T) {
	r, _ := newRunner(t)
	run(t, r, deployment(t, "script", "#!/bin/sh\necho old > $heat_outputs_path.o", `"outputs":[{"name":"o"}]`))
	if result := run(t, r, deployment(t, "script", "#!/bin/sh\n:", `"outputs":[{"name":"o"}]`)); len(result.Outputs) != 0 {
		t.Errorf("outputs %v", result.Outputs)
	}
}

func TestWhatTakesTooLongIsEndedWithItsChildrenAndSaysSo(t *testing.T) {
	r, dir := newRunner(t)
	pidFile := filepath.Join(dir, "pid")
	script := "#!/bin/sh\ntrap '' TERM\nsleep 600 &\necho $! > " + pidFile + "\necho begun\nwait\nwait"
	// The limit has to be one within which a script gets so far.
	for limit := 500 * time.Millisecond; ; limit *= 4 {
		result := run(t, r, deployment(t, "script", script, fmt.Sprintf(`"options":{"timeout":"%g"}`, limit.Seconds())))
		if result.Status != hooks.StatusTimeout || !strings.Contains(result.Stderr, "time limit of "+limit.String()) {
			t.Errorf("%+v", result)
		}
		if result.Stdout == "begun\n" {
			break
		}
		if limit > time.Minute {
			t.Fatalf("%+v", result)
		}
	}
	pid := pidIn(t, pidFile)
	deadline := time.Now().Add(2 * time.Minute)
	for alive(pid) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d goes on", pid)
		}
		time.Sleep(time.Millisecond)
	}
}

// pidIn reads the number of a process that a script wrote.
func pidIn(t *testing.T, path string) (pid int) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

// alive says whether a process runs; one that is dead and not reaped does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	raw, err := os.ReadFile(filepath.Join("/proc", jsonText(pid), "stat"))
	return err == nil && !strings.Contains(string(raw), ") Z ")
}

func jsonText(v any) string { raw, _ := json.Marshal(v); return string(raw) }

func TestAChildThatGoesOnDoesNotHoldTheDeployment(t *testing.T) {
	r, dir := newRunner(t)
	pidFile := filepath.Join(dir, "pid")
	result := run(t, r, deployment(t, "script", "#!/bin/sh\nsleep 600 &\necho $! > "+pidFile+"\necho done", ""))
	if result.Status != 0 || result.Stdout != "done\n" {
		t.Errorf("%+v", result)
	}
	child := pidIn(t, pidFile)
	if !alive(child) {
		t.Error("the child was ended with the script, or waited for")
	}
	_ = syscall.Kill(child, syscall.SIGKILL)
}

func TestTheEndOfTheAgentIsNoResult(t *testing.T) {
	r, dir := newRunner(t)
	ctx, cancel := context.WithCancel(t.Context())
	r.Spoke = func(int) { cancel() }
	_, err := r.Run(ctx, deployment(t, "script", "#!/bin/sh\necho x\nsleep 600\ntouch "+dir+"/wrong", ""))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestWhatCannotBeRunSaysWhy(t *testing.T) {
	r, dir := newRunner(t)
	install(t, filepath.Join(dir, "hooks2"), "open", "#!/bin/sh\n", 0o777)
	install(t, filepath.Join(dir, "hooks2"), "plain", "#!/bin/sh\n", 0o644)
	for _, test := range []struct {
		group, config, more string
		status              int
		want                string
	}{
		{"ansible", "x", "", hooks.StatusNoHook, `group "ansible" is not known: it is none of script, and there is no hook ansible in`},
		{"../..", "x", "", hooks.StatusNoHook, "is not known"},
		{"open", "x", "", hooks.StatusNoHook, "can be written by everybody"},
		{"plain", "x", "", hooks.StatusNoHook, "cannot be executed"},
		{"script", "echo no interpreter", "", hooks.StatusRefused, "does it begin with #!"},
		{"script", "#!/no/such/interpreter", "", hooks.StatusRefused, "cannot execute"},
		{"script", "#!/bin/sh\n:", `"inputs":[{"name":"a=b","value":"hunter2hunter2"}]`, hooks.StatusRefused, `input "a=b"`},
		{"slipway", "x", "", hooks.StatusNoHook, "does not take plans from Heat"},
	} {
		result := run(t, r, deployment(t, test.group, test.config, test.more))
		if result.Status != test.status || !strings.Contains(result.Stderr, test.want) || strings.Contains(result.Stderr, "hunter2") {
			t.Errorf("%s %s: %+v", test.group, test.config, result)
		}
	}
}

func TestAHookGetsTheDeploymentAndAnswersWithTheSignal(t *testing.T) {
	r, dir := newRunner(t)
	install(t, filepath.Join(dir, "hooks2"), "echo", "#!/bin/sh\ncat > "+dir+"/stdin; echo '{\"deploy_stdout\":\"out\",\"deploy_status_code\":\"2\",\"o\":{\"k\":1}}'", 0o755)
	install(t, filepath.Join(dir, "hooks2"), "first", "#!/bin/sh\necho second", 0o755)
	install(t, filepath.Join(dir, "hooks1"), "first", "#!/bin/sh\necho first", 0o755)
	result := run(t, r, deployment(t, "echo!", "the config", `"inputs":[{"name":"i","type":"String","value":null}]`))
	if result.Stdout != "out" || result.Status != 2 || jsonText(result.Outputs["o"]) != `{"k":1}` {
		t.Errorf("%+v", result)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "stdin"))
	if err != nil || !strings.Contains(string(raw), `"config":"the config"`) || !strings.Contains(string(raw), `"value":""`) {
		t.Errorf("it got %s, %v", raw, err)
	}
	if result := run(t, r, deployment(t, "first", "", "")); result.Stdout != "first\n" || result.Status != 0 {
		t.Errorf("%+v", result)
	}
}

func TestWhatAHookSaysIsReadByTheContract(t *testing.T) {
	r, dir := newRunner(t)
	for text, want := range map[string]notify.Result{
		"":                              {},
		"exit 4":                        {Status: 4},
		"echo no json; echo err >&2":    {Stdout: "no json\n", Stderr: "err\n"},
		"echo '[1]'; exit 1":            {Stdout: "[1]\n", Status: 1},
		"echo null":                     {Stdout: "null\n"},
		"echo '{}'":                     {},
		"echo '{}'; echo e >&2; exit 5": {Status: 5, Stderr: "e\n"}, // was a success
		`echo '{"deploy_status_code":0}'; exit 5`:      {}, // the hook's word
		`echo '{"deploy_status_code":-9}'`:             {Status: -9},
		`echo '{"deploy_status_code":"x"}'`:            {Status: 1},
		`echo '{"deploy_status_code":null}'; exit 6`:   {Status: 6},
		`echo '{"deploy_stdout":{"a":1}}'; kill -9 $$`: {Stdout: `{"a":1}`, Status: -9},
	} {
		install(t, filepath.Join(dir, "hooks1"), "h", "#!/bin/sh\n"+text, 0o755)
		got := run(t, r, deployment(t, "h", "", ""))
		if got.Stdout != want.Stdout || got.Stderr != want.Stderr || got.Status != want.Status {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
}

func TestSecretInputsAreTakenOutOfWhatAProgramWrites(t *testing.T) {
	r, _ := newRunner(t)
	result := run(t, r, deployment(t, "script", "#!/bin/bash -x\necho $admin_password $word $o\necho -n $admin_password > $heat_outputs_path.o", `"inputs":[
		{"name":"admin_password","value":"hunter2hunter2"},{"name":"word","value":"fedora-coreos"}],"outputs":[{"name":"o"}]`))
	all := result.Stdout + result.Stderr
	if strings.Contains(all, "hunter2") || !strings.Contains(all, "fedora-coreos") {
		t.Errorf("%+v", result)
	}
	if result.Outputs["o"] != "hunter2hunter2" {
		t.Error("an output is data, and was changed")
	}
}

type plans struct {
	err error
	got []byte
}

func (p *plans) ApplyPlan(_ context.Context, delivery protocol.Delivery) error {
	p.got = delivery.Envelope
	return p.err
}

func TestAPlanGoesToTheApplier(t *testing.T) {
	r, _ := newRunner(t)
	p := &plans{}
	r.Plans = p
	d := deployment(t, "slipway", "", "")
	d.Config = json.RawMessage(jsonText(map[string]any{"delivery": protocol.Delivery{Envelope: []byte("signed")}}))
	if result := run(t, r, d); result.Status != 0 || string(p.got) != "signed" {
		t.Errorf("%+v, %s", result, p.got)
	}
	p.err = errors.New("unit slipway-a.service: exit status 1")
	if result := run(t, r, d); result.Status != 1 || !strings.Contains(result.Stderr, "slipway-a.service") {
		t.Errorf("%+v", result)
	}
	d.Config = json.RawMessage(`{"other":1}`)
	if result := run(t, r, d); result.Status != hooks.StatusRefused {
		t.Errorf("%+v", result)
	}
}
