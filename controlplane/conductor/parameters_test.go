package conductor

import (
	"testing"

	"slipway.build/slipway/controlplane/store"
)

func TestAClusterWithoutALabelIsOfItsTemplatesVersion(t *testing.T) {
	groups := []store.Nodegroup{{Name: store.DefaultMaster, NodeCount: 1}, {Name: store.DefaultWorker, NodeCount: 1}}
	template := &store.ClusterTemplate{Labels: map[string]string{"kube_tag": "v1.36.3", "calico_ipv4pool": "10.9.0.0/16"}}
	for name, tt := range map[string]struct {
		labels map[string]string
		want   string
	}{
		"none of it":           {map[string]string{"x": "1"}, "v1.36.3"},
		"an older one":         {map[string]string{"kube_tag": "v1.36.1"}, "v1.36.1"},
		"an empty one is none": {map[string]string{"kube_tag": ""}, "v1.36.3"},
	} {
		spec, err := stackSpec(&store.Cluster{Name: "k8s", UUID: store.NewID(), Labels: tt.labels}, groups, template, "test")
		if err != nil || spec.Parameters["kube_tag"] != tt.want {
			t.Errorf("%s: %v, %v", name, spec.Parameters["kube_tag"], err)
		}
		if spec.Parameters["pods_network_cidr"] != nil {
			t.Errorf("%s: other labels of the template were taken", name)
		}
	}
}
