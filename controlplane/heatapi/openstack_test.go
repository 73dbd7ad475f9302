package heatapi

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestOpenStackClientReadsStacks(t *testing.T) {
	if _, err := exec.LookPath("openstack"); err != nil {
		t.Skip("needs the Debian packages python3-openstackclient and python3-heatclient")
	}
	h := newHarness(t)
	home := t.TempDir()
	for _, c := range []struct {
		args string
		want []string
	}{
		{"stack list", []string{stackName, "CREATE_COMPLETE"}},
		{"stack show " + stackName, []string{"Stack CREATE completed successfully", "A cluster in small."}},
		{"stack resource list -n 5 " + stackName, []string{"kube_masters", "kube-master", "stack_name", stackName + "-kube_masters"}},
		{"stack resource show " + stackName + " kube_masters", []string{"OS::Heat::ResourceGroup"}},
		{"stack event list --nested-depth 5 " + stackName, []string{"kube_cluster_deploy]: CREATE_COMPLETE  state changed", "Stack CREATE started"}},
		{"stack event list -f table " + stackName, []string{"resource_status_reason", "Stack CREATE completed successfully"}},
		{"stack output list " + stackName, []string{"network"}},
		{"stack template show " + stackName, []string{"heat_template_version"}},
	} {
		t.Run(c.args, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "openstack", strings.Fields(c.args)...)
			cmd.Env = append(os.Environ(), "OS_AUTH_TYPE=none", "OS_ENDPOINT="+h.server.URL+"/heat/v1/local", "HOME="+home)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, want := range c.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("%q is not in\n%s", want, out)
				}
			}
		})
	}
}
