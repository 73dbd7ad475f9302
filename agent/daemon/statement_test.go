package daemon_test

import (
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/testimage"
)

func TestAStatementByNobodyIsAnEventAndChangesNothing(t *testing.T) {
	r := newRig(t)
	r.ready()
	r.apply(r.desired(1), protocol.Healthy)
	stranger, _ := testimage.Key(t)
	r.plane.DeliverAsIs(protocol.Delivery{PlanKeys: [][]byte{r.plane.Statement(r.ctx, r.keys(1, stranger), stranger)}})
	signal := r.plane.Await(r.ctx, "", protocol.Refused)
	if !strings.Contains(signal.Reason, "trusted keys") {
		t.Errorf("reason %q", signal.Reason)
	}
	r.apply(r.desired(2), protocol.Healthy)
}

func TestTheNodesCertificateIsRenewedAndUsed(t *testing.T) {
	r := newRig(t)
	r.plane.Life = 3 * time.Second
	r.ready()
	r.apply(r.desired(1), protocol.Healthy)
	for deadline := time.Now().Add(time.Minute); r.plane.Renewals() < 3; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d renewals", r.plane.Renewals())
		}
	}
	r.apply(r.desired(2), protocol.Healthy) // by now the first certificate is long over
}
