package engine_test

import (
	"fmt"
	"testing"
	"time"

	"slipway.build/slipway/controlplane/orchestration/engine"
	"slipway.build/slipway/controlplane/orchestration/engine/fake"
)

// BenchmarkCreate measures how many resources a second the engine makes on a cloud that
// answers at once, events and durable commits included.
func BenchmarkCreate(b *testing.B) {
	for _, nodes := range []int{6, 100, 1000} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			resources := 0
			for b.Loop() {
				bench := newBench(b, &fake.Cloud{}, engine.Options{})
				s := spec(cluster, map[string]any{"count": nodes})
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
