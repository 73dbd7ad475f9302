package main

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"slipway.build/slipway/agent/daemon"
	"slipway.build/slipway/agent/protocol"
)

// disarming are words of a switch that would have the agent believe what it should not.
var disarming = regexp.MustCompile(`(?i)insecure|unsafe|skip|bypass|unsigned|untrusted|unverified|no-?(verif|check|sign|trust|tls)|allow|force|ignore|disable|trust|any-?(key|lock)`)

func TestNoFlagTurnsVerificationOff(t *testing.T) {
	flags := 0
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		look := func(f *pflag.Flag) {
			flags++
			if disarming.MatchString(f.Name) {
				t.Errorf("%s has the flag --%s", cmd.CommandPath(), f.Name)
			}
		}
		cmd.Flags().VisitAll(look)
		cmd.PersistentFlags().VisitAll(look)
		for _, child := range cmd.Commands() {
			walk(child)
		}
	}
	walk(newRoot(io.Discard))
	if flags == 0 {
		t.Error("no flag was looked at")
	}
}

func TestNoConfigurationTurnsVerificationOff(t *testing.T) {
	for _, kind := range []reflect.Type{reflect.TypeFor[protocol.AgentConfig](), reflect.TypeFor[daemon.Config]()} {
		for field := range kind.Fields() {
			if field.Type.Kind() == reflect.Bool || disarming.MatchString(field.Name) && field.Name != "TrustDir" {
				t.Errorf("%s has the field %s", kind, field.Name)
			}
		}
	}
}

// environment finds looks at the environment, and the standard library's own switch.
var environment = regexp.MustCompile(`os\.(Getenv|LookupEnv|Environ)\(|InsecureSkipVerify`)

func TestNoEnvironmentReachesTrust(t *testing.T) {
	looked := 0
	for _, dir := range []string{"trust", "join", "nodeapi", "plan", "renewal", "certificates", "../imagebuild/lock"} {
		files, err := filepath.Glob(filepath.Join("../../agent", dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			looked++
			if found := environment.Find(raw); found != nil && !strings.HasSuffix(file, "_test.go") {
				t.Errorf("%s says %s", file, found)
			}
		}
	}
	if looked < 20 {
		t.Errorf("looked at %d files", looked)
	}
}
