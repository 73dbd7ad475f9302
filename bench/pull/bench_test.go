package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/imagebuild/lock"
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
	img := func(media string) *image {
		return &image{Media: media, Locked: lock.Platform{Layers: make([]lock.Layer, changedLayer+1)}}
	}
	all := []results{
		{scenario{name: "pull", image: img(mediaGzip)}, map[string][]sample{"slipway": seconds2(1), "containerd": seconds2(6), "podman": seconds2(4, 4.2), "skopeo": seconds2(0.1)}},
		{scenario{name: "pull-zstd", image: img(mediaZstd)}, map[string][]sample{"slipway": seconds2(0.5), "containerd": seconds2(2)}},
		{scenario{name: "pull-upgrade", before: img(mediaGzip), image: img(mediaGzip)}, map[string][]sample{"slipway": seconds2(0.1), "podman": seconds2(2)}},
	}
	var out bytes.Buffer
	report(&out, all, []contender{&ours{}, &containerd{}, &podman{}, &skopeo{}})
	want := "ratio pull 4.1\nratio pull-zstd 8.2\nratio pull-upgrade 20.0\n"
	if !strings.HasSuffix(out.String(), want) {
		t.Errorf("ends with\n%s\nwant\n%s", out.String()[max(0, out.Len()-200):], want)
	}
	if !strings.Contains(out.String(), "ratio pull-zstd-same-bytes 4.0\n") {
		t.Error(fmt.Sprint("no ratio of the same bytes in\n", out.String()))
	}
}
