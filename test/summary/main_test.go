package main

import (
	"strings"
	"testing"
)

func TestTheSummaryCountsAndSaysWhyTestsWereSkipped(t *testing.T) {
	in := `{"Action":"output","Package":"slipway.build/slipway/a","Test":"TestX","Output":"=== RUN   TestX\n"}
{"Action":"pass","Package":"slipway.build/slipway/a","Test":"TestX"}
{"Action":"output","Package":"slipway.build/slipway/a","Test":"TestY","Output":"    a_test.go:7: needs root\n"}
{"Action":"skip","Package":"slipway.build/slipway/a","Test":"TestY"}
{"Action":"output","Package":"slipway.build/slipway/a","Output":"ok  \tslipway.build/slipway/a\t0.1s\n"}
{"Action":"pass","Package":"slipway.build/slipway/a"}
`
	var out strings.Builder
	ok, err := summarize(strings.NewReader(in), &out, "unit")
	if err != nil || !ok {
		t.Fatalf("ok %v, %v", ok, err)
	}
	want := `ok  	slipway.build/slipway/a	0.1s
unit: skipped, and why:
  needs root: a.TestY
unit: 1 passed, 0 failed, 1 skipped
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}

func TestTheSummaryFails(t *testing.T) {
	for what, in := range map[string]string{
		"when a test fails": `{"Action":"output","Package":"a","Test":"TestX","Output":"the cause\n"}
{"Action":"fail","Package":"a","Test":"TestX"}
{"Action":"fail","Package":"a"}`,
		"when a package does not build": `{"ImportPath":"a","Action":"build-output","Output":"the cause\n"}
{"Action":"output","Package":"a","Output":"FAIL\ta [build failed]\n"}
{"Action":"fail","Package":"a"}`,
		"when a package panics outside of a test": `{"Action":"output","Package":"a","Output":"the cause\n"}
{"Action":"fail","Package":"a"}`,
	} {
		t.Run(what, func(t *testing.T) {
			var out strings.Builder
			ok, err := summarize(strings.NewReader(in), &out, "unit")
			if err != nil || ok {
				t.Fatalf("ok %v, %v", ok, err)
			}
			if !strings.Contains(out.String(), "the cause") || !strings.Contains(out.String(), "1 failed") {
				t.Errorf("got:\n%s", out.String())
			}
		})
	}
	t.Run("when no test ran", func(t *testing.T) {
		var out strings.Builder
		if ok, _ := summarize(strings.NewReader(""), &out, "unit"); ok {
			t.Error("nothing ran and all is well")
		}
	})
}
