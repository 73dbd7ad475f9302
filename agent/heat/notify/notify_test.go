package notify_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/heat/keystone"
	"slipway.build/slipway/agent/heat/metadata"
	"slipway.build/slipway/agent/heat/notify"
	"slipway.build/slipway/agent/heat/rest"
	"slipway.build/slipway/agent/heat/testcloud"
)

func sender() *notify.Sender {
	client := &rest.Client{}
	return &notify.Sender{HTTP: client, Keystone: &keystone.Client{HTTP: client, Now: time.Now}, ClientID: uuid.NewString()}
}

// target is where the cloud says that a deployment is signalled.
func target(t *testing.T, cloud *testcloud.Cloud, id string) notify.Target {
	t.Helper()
	doc, err := metadata.Parse("test", cloud.Document())
	if err != nil {
		t.Fatal(err)
	}
	list, _ := metadata.Deployments([]metadata.Document{doc})
	for _, d := range list {
		if d.ID == id {
			return notify.TargetOf(d)
		}
	}
	t.Fatalf("no deployment %s", id)
	return notify.Target{}
}

func encode(t *testing.T, r notify.Result) []byte {
	t.Helper()
	raw, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestEveryTransportBringsTheResult(t *testing.T) {
	for transport, kind := range map[string]string{
		testcloud.HeatSignal: testcloud.Signal, testcloud.CFNSignals: testcloud.CFNSignal,
		testcloud.TempURLSignal: testcloud.SwiftPut, testcloud.ZaqarSignal: testcloud.ZaqarPost,
	} {
		t.Run(transport, func(t *testing.T) {
			cloud := testcloud.New(t)
			cloud.SkewClock(-time.Minute)
			cloud.Deploy(testcloud.Deployment{ID: "d", Transport: transport, Outputs: []map[string]any{{"name": "result", "type": "String"}}})
			cloud.SkewClock(0) // a second has passed, for Swift
			body := encode(t, notify.Result{Stdout: "out", Outputs: map[string]any{"result": "r", "undeclared": "x"}})
			cloud.Fail(kind, 500, 503)
			s, to := sender(), target(t, cloud, "d")
			for range 2 {
				if err := s.Send(t.Context(), to, body); rest.StatusOf(err)/100 != 5 {
					t.Errorf("a fault of the server: %v", err)
				}
			}
			if err := s.Send(t.Context(), to, body); err != nil {
				t.Fatal(err)
			}
			result := cloud.Result("d")
			if result.Status != testcloud.Complete || result.Outputs["result"] != "r" || result.Outputs["deploy_stdout"] != "out" {
				t.Errorf("%+v", result)
			}
		})
	}
}

func TestNoSignalIsAccepted(t *testing.T) {
	cloud := testcloud.New(t)
	cloud.Deploy(testcloud.Deployment{ID: "d", Transport: testcloud.NoSignal})
	to := target(t, cloud, "d")
	if err := sender().Send(t.Context(), to, nil); err != nil || to != (notify.Target{Transport: notify.None}) {
		t.Errorf("%+v, %v", to, err)
	}
}

func TestASignedAddressThatIsTooOldIsRefusedByItsStatus(t *testing.T) {
	cloud := testcloud.New(t)
	cloud.Deploy(testcloud.Deployment{ID: "d", Transport: testcloud.CFNSignals})
	cloud.SkewClock(20 * time.Minute)
	err := sender().Send(t.Context(), target(t, cloud, "d"), []byte(`{}`))
	if rest.StatusOf(err) != http.StatusForbidden || strings.Contains(err.Error(), "Signature") {
		t.Errorf("error %v", err)
	}
}

func TestFailuresAreFailures(t *testing.T) {
	for name, r := range map[string]notify.Result{
		"a status":        {Status: 3},
		"a signal":        {Status: -9},
		"an error output": {Outputs: map[string]any{"broken": "yes"}},
		"our own":         notify.Failure(124, "its time was over"),
	} {
		cloud := testcloud.New(t)
		cloud.Deploy(testcloud.Deployment{ID: "d", Outputs: []map[string]any{{"name": "broken", "error_output": true}}})
		if err := sender().Send(t.Context(), target(t, cloud, "d"), encode(t, r)); err != nil {
			t.Fatal(err)
		}
		if got := cloud.Result("d"); got.Status != testcloud.Failed {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestWhatIsTooLongLosesItsBeginningAtACharacter(t *testing.T) {
	for name, unit := range map[string]string{"plain": "x", "three bytes each": "漢", "escaped": "\x01", "broken": "\xffa", "quotes": `"`, "NUL": "\x00"} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "escaped" {
				t.Skip("short: the others cut the same way")
			}
			stdout := strings.Repeat(unit, 5<<18/len(unit)) + "the end of out"
			body := encode(t, notify.Result{Stdout: stdout, Stderr: strings.Repeat("e", 3000) + "the end of err", Outputs: map[string]any{"o": "kept"}})
			if len(body) > notify.MaxPayload || !utf8.Valid(body) {
				t.Fatalf("%d bytes", len(body))
			}
			var got map[string]any
			if err := json.Unmarshal(body, &got); err != nil {
				t.Fatal(err)
			}
			out, _ := got["deploy_stdout"].(string)
			if !strings.HasPrefix(out, "[slipway: the first ") || !strings.HasSuffix(out, "the end of out") || strings.ContainsRune(out, 0) {
				t.Errorf("from %q to %q", out[:min(len(out), 60)], out[max(0, len(out)-20):])
			}
			if err, _ := got["deploy_stderr"].(string); len(err) != 3014 || got["o"] != "kept" {
				t.Errorf("the short text has %d bytes, the output is %v", len(err), got["o"])
			}
			if len(body) < notify.MaxPayload/3 {
				t.Errorf("only %d bytes are left", len(body))
			}
		})
	}
}

func TestAnOutputThatDoesNotFitIsAFailureThatNamesIt(t *testing.T) {
	body := encode(t, notify.Result{Stdout: "out", Outputs: map[string]any{"small": "s", "big": strings.Repeat("x", 1<<20)}})
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil || len(body) > notify.MaxPayload {
		t.Fatalf("%d bytes, %v", len(body), err)
	}
	if text, _ := got["deploy_stderr"].(string); !strings.Contains(text, "output big has") || got["deploy_status_code"] == 0.0 {
		t.Errorf("signal %v", got)
	}
}

func TestAMebibyteOfOutputReachesHeat(t *testing.T) {
	cloud := testcloud.New(t)
	cloud.Deploy(testcloud.Deployment{ID: "d"})
	body := encode(t, notify.Result{Stdout: strings.Repeat("漢", 1<<20), Stderr: strings.Repeat("\t", 1<<20)})
	if err := sender().Send(t.Context(), target(t, cloud, "d"), body); err != nil || cloud.Result("d").Status != testcloud.Complete {
		t.Errorf("%v, %+v", err, cloud.Result("d").Status)
	}
}
