package engine_test

import (
	"fmt"
	"testing"
	"time"

	"slipway.build/slipway/controlplane/orchestration/engine"
	"slipway.build/slipway/controlplane/orchestration/engine/fake"
)

// BenchmarkCreate measures how many resources a second the engine makes of the built-in
// cluster template on a cloud that answers at once, events and durable commits included.
func BenchmarkCreate(b *testing.B) {
	for _, workers := range []int{3, 100, 1000} {
		b.Run(fmt.Sprintf("nodes=3+%d", workers), func(b *testing.B) {
			resources := 0
			for b.Loop() {
				bench := newBench(b, &fake.Cloud{}, engine.Options{})
				s := builtin(b, 3, workers)
				s.Timeout = 10 * time.Minute
				id := bench.create(s)
				if res := bench.run(id); res.Status != "CREATE_COMPLETE" {
					b.Fatalf("%+v", res)
				}
				b.StopTimer()
				rs, err := bench.engine.Resources(b.Context(), id, 10)
				if err != nil {
					b.Fatal(err)
				}
				resources += len(rs)
				bench.store.Close()
				b.StartTimer()
			}
			b.ReportMetric(float64(resources)/b.Elapsed().Seconds(), "resources/s")
		})
	}
}
