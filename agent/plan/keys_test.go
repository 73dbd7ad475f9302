package plan_test

import (
	"encoding/json"
	"testing"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
)

func TestAStatementOfPlanKeysIsReadWithTheKeysBeforeItOnly(t *testing.T) {
	signer, trusted := newKey(t)
	_, next := newKey(t)
	_, foreign := newKey(t)
	set := protocol.PlanKeySet{Number: 1, Issued: time.Date(2026, 11, 21, 17, 0, 0, 0, time.UTC), Keys: []protocol.PlanKey{trusted, next}}
	envelope, err := plan.SealKeys(t.Context(), set, signer)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := plan.OpenKeys(t.Context(), envelope, []protocol.PlanKey{trusted}); err != nil || got.Number != 1 || len(got.Keys) != 2 || got.Keys[1] != next {
		t.Errorf("read %+v, %v", got, err)
	}
	if number := plan.KeysNumber(envelope); number != 1 {
		t.Errorf("it claims number %d", number)
	}
	if _, err := plan.OpenKeys(t.Context(), envelope, []protocol.PlanKey{next, foreign}); !fault.IsTerminal(err) {
		t.Errorf("with other keys: %v", err)
	}
	// A plan is no statement, and a statement no plan, whoever has signed them.
	sealed, err := plan.Seal(t.Context(), good(), signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plan.OpenKeys(t.Context(), sealed, []protocol.PlanKey{trusted}); !fault.IsTerminal(err) {
		t.Errorf("a plan: %v", err)
	}
	if _, _, err := plan.Open(t.Context(), envelope, []protocol.PlanKey{trusted}); !fault.IsTerminal(err) {
		t.Errorf("as a plan: %v", err)
	}
	for name, change := range map[string]func(*protocol.PlanKeySet){
		"no number": func(s *protocol.PlanKeySet) { s.Number = 0 },
		"no time":   func(s *protocol.PlanKeySet) { s.Issued = time.Time{} },
		"no key":    func(s *protocol.PlanKeySet) { s.Keys = nil },
		"a key twice": func(s *protocol.PlanKeySet) {
			s.Keys = append(s.Keys, trusted)
		},
		"too many keys":      func(s *protocol.PlanKeySet) { s.Keys = make([]protocol.PlanKey, 9) },
		"another key's id":   func(s *protocol.PlanKeySet) { s.Keys[1].ID = foreign.ID },
		"a key that is none": func(s *protocol.PlanKeySet) { s.Keys[1].Public = "PEM" },
	} {
		bad := set
		bad.Keys = append([]protocol.PlanKey{}, set.Keys...)
		change(&bad)
		if _, err := plan.SealKeys(t.Context(), bad, signer); !fault.IsTerminal(err) {
			t.Errorf("%s: error %v, want a terminal one", name, err)
		}
	}
}

func FuzzPlanKeys(f *testing.F) {
	signer, trusted := newKey(f)
	set := protocol.PlanKeySet{Number: 1, Issued: time.Date(2026, 11, 21, 17, 0, 0, 0, time.UTC), Keys: []protocol.PlanKey{trusted}}
	envelope, err := plan.SealKeys(f.Context(), set, signer)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(envelope)
	f.Add([]byte(`{"payloadType":"` + protocol.KeysPayloadType + `","payload":"","signatures":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		plan.KeysNumber(data)
		got, err := plan.OpenKeys(t.Context(), data, []protocol.PlanKey{trusted})
		if err != nil {
			if !fault.IsTerminal(err) {
				t.Errorf("the error is not terminal: %v", err)
			}
			return
		}
		want, _ := json.Marshal(set)
		if raw, _ := json.Marshal(got); string(raw) != string(want) {
			t.Errorf("forged: %s", raw)
		}
	})
}
