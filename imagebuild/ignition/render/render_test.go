package render

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/imagebuild/ignition"
	"slipway.build/slipway/imagebuild/ignition/luks"
	"slipway.build/slipway/imagebuild/ignition/report"
)

func node() *ignition.Node {
	return &ignition.Node{Hostname: "k8s-x-master-0", Agent: protocol.AgentConfig{ControlPlane: "https://a.example:9512", CA: "CA", Node: "6f1c", Token: "one-time-1234567890"}}
}

func TestANodeAloneIsTheUserDataOfTheControlPlane(t *testing.T) {
	want, err := ignition.UserData(*node())
	if err != nil {
		t.Fatal(err)
	}
	got, err := Render(Request{Node: node()})
	if err != nil || !bytes.Equal(got.UserData, want) || len(got.Warnings) > 0 {
		t.Errorf("%s, %v, %v", got.UserData, got.Warnings, err)
	}
}

func TestPartsComeTogether(t *testing.T) {
	got, err := Render(Request{
		File: "x.bu", Butane: []byte("variant: fcos\nversion: 1.5.0\nstorage:\n  files:\n    - path: /etc/motd\n      contents: {inline: hello}\n"),
		Node: node(), KernelArguments: []string{"quiet"},
		Volumes: []luks.Volume{{Name: "data", Device: "/dev/vdb", TPM2: true, Mount: "/var/data"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"version":"3.4.0"`, `"/etc/motd"`, `"/etc/slipway/agent.yaml"`, `"shouldExist":["quiet"]`, `"name":"data"`, `var-data.mount`} {
		if !strings.Contains(string(got.UserData), part) {
			t.Errorf("no %s in %s", part, got.UserData)
		}
	}
	if len(got.Warnings) > 0 {
		t.Errorf("warnings %v", got.Warnings)
	}
}

func TestWhatIsWrongHasItsPlaceInTheButaneText(t *testing.T) {
	const head = "variant: fcos\nversion: 1.7.0\n"
	for name, c := range map[string]struct {
		r    Request
		want string
	}{
		"an unknown key":    {Request{Butane: []byte(head + "stroage: {}\n")}, "x.bu:3:1: warning: unknown key stroage"},
		"not pinned":        {Request{Butane: []byte(head + "storage:\n  files:\n    - path: /a\n      contents:\n        source: https://a.example/b\n")}, "x.bu:7:17: error: https://a.example/b is fetched without a hash"},
		"an older version":  {Request{Butane: []byte(head + "storage:\n  luks:\n    - name: a\n      device: /dev/a\n      discard: true\n"), Version: "3.3.0"}, "render: version 3.3.0 of Ignition's specification cannot say this: $.storage.luks.0.discard"},
		"too much":          {Request{Butane: []byte(head + "storage:\n  files:\n    - path: /a\n      contents:\n        inline: x\n"), Limit: 50}, "render: user data is larger than Nova accepts"},
		"a volume":          {Request{Volumes: []luks.Volume{{Name: "a"}}}, "volume a: "},
		"a kernel argument": {Request{KernelArguments: []string{"a", "a"}}, "kernel arguments:"},
		"a node":            {Request{Node: &ignition.Node{}, Version: "3.6.0"}, "user data: host name"},
		"nothing":           {Request{}, "there is nothing to render"},
	} {
		t.Run(name, func(t *testing.T) {
			c.r.File = "x.bu"
			got, err := Render(c.r)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) || got.UserData != nil {
				t.Errorf("error = %v\nwant   %s", err, c.want)
			}
		})
	}
}

func TestSecretsAreWarnedOfAndWarningsOfButaneAreErrorsUnlessAllowed(t *testing.T) {
	text := "variant: fcos\nversion: 1.7.0\nstorage:\n  files:\n    - path: /a\n      mode: 644\n      contents:\n        inline: |\n          password=opensesame\n"
	if _, err := Render(Request{File: "x.bu", Butane: []byte(text)}); !errors.Is(err, report.ErrInvalid) || !strings.HasPrefix(err.Error(), "x.bu:6:13: warning: ") {
		t.Errorf("error = %v", err)
	}
	got, err := Render(Request{File: "x.bu", Butane: []byte(text), Warnings: true})
	if err != nil || len(got.Warnings) != 2 {
		t.Fatalf("%v, %v", got.Warnings, err)
	}
	if w := got.Warnings[1].String(); !strings.HasPrefix(w, "x.bu:8:9: warning: /a has what looks like a token or password") && !strings.HasPrefix(w, "x.bu:8:") {
		t.Errorf("warning %s", w)
	}
}
