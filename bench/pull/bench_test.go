package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func seconds2(values ...float64) []sample {
	var all []sample
	for _, v := range values {
		all = append(all, sample{took: time.Duration(v * float64(time.Second))})
	}
	return all
}

func TestStatisticsAreMedianAndExtremes(t *testing.T) {
	for _, tt := range []struct {
		in   []float64
		want stats
	}{
		{nil, stats{}},
		{[]float64{3}, stats{3, 3, 3}},
		{[]float64{9, 1, 2}, stats{2, 1, 9}},
		{[]float64{4, 1, 2, 9}, stats{3, 1, 9}},
	} {
		if got := statistics(seconds2(tt.in...), seconds); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.in, got, tt.want)
		}
	}
}

func TestTheReportEndsWithTheRatios(t *testing.T) {
	all := []results{
		{scenario{name: "pull"}, map[string][]sample{"slipway": seconds2(1), "containerd": seconds2(6), "podman": seconds2(4, 4.2), "skopeo": seconds2(0.1)}},
		{scenario{name: "pull-zstd"}, map[string][]sample{"slipway": seconds2(0.5), "containerd": seconds2(2)}},
		{scenario{name: "pull-upgrade"}, map[string][]sample{"slipway": seconds2(0.1), "podman": seconds2(2)}},
		{scenario{name: "pull-upgrade-same-bytes"}, map[string][]sample{"slipway": seconds2(0.5), "podman": seconds2(2)}},
	}
	var out bytes.Buffer
	report(&out, all, []contender{&ours{}, &containerd{}, &podman{}, &skopeo{}})
	want := "ratio pull 4.1\nratio pull-zstd 8.2\nratio pull-upgrade 20.0\n"
	if !strings.HasSuffix(out.String(), want) {
		t.Errorf("ends with\n%s\nwant\n%s", out.String()[max(0, out.Len()-200):], want)
	}
	for _, line := range []string{"ratio pull-zstd-same-bytes 4.0\n", "ratio pull-upgrade-same-bytes 4.0\n"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("no %q in\n%s", line, out.String())
		}
	}
}
