package cluster

import (
	"net/http"
	"testing"
)

// FuzzAnswers feeds foreign bytes as refusals and as watched objects: nothing of them is a fault of
// ours, and what is no object is never taken for one that is ready.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"metadata":{"generation":2},"spec":{"replicas":1},"status":{"observedGeneration":2,"updatedReplicas":1,"availableReplicas":1}}`))
	f.Add([]byte(`{"status":{"phase":"Active","conditions":[{"type":"Ready","status":"True"},{"type":"Failed","status":"True"}]}}`))
	f.Add([]byte(`{"message":"no","details":{"causes":[{"message":"why"}]}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, code := range []int{http.StatusConflict, http.StatusUnprocessableEntity, http.StatusInternalServerError} {
			if err := classify(code, raw); statusOf(err) == nil || err.Error() == "" {
				t.Fatalf("refusal %v", err)
			}
		}
		for name, holds := range map[string]condition{
			"replicas": replicated, "daemon set": daemonSet, "job": job, "name space": namespaceActive, "node": nodeReady, "condition": conditionTrue("Available"),
		} {
			done, _, err := holds(raw)
			if done && (err != nil || raw[0] != '{' && name != "replicas" && name != "daemon set" && len(raw) == 0) {
				t.Fatalf("%s is ready: %q", name, raw)
			}
		}
	})
}
