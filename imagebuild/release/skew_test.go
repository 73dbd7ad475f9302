package release

import (
	"slices"
	"testing"

	"slipway.build/slipway/imagebuild/lock"
)

// of replaces the lock's images.
func of(images ...[]lock.Image) func(*testing.T, *Subject) {
	return func(t *testing.T, s *Subject) { s.Lock = lockOf(t, images...) }
}

// after sets what clusters are on before it.
func after(images ...[]lock.Image) func(*testing.T, *Subject) {
	return func(t *testing.T, s *Subject) {
		s.From = lockOf(t, images...)
		s.From.Number = 6
	}
}

// step runs the cases of a rule that looks at versions.
func step(t *testing.T, rule string, cases map[string]struct {
	lock, from func(*testing.T, *Subject)
	want       []string
}) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := subject(sound(t))
			if c.lock != nil {
				c.lock(t, &s)
			}
			if c.from != nil {
				c.from(t, &s)
			}
			expect(t, find(t, rule, s), c.want...)
		})
	}
}

type stepCases = map[string]struct {
	lock, from func(*testing.T, *Subject)
	want       []string
}

// but is a release without some of its programs.
func but(version string, names ...string) []lock.Image {
	return slices.DeleteFunc(kubernetes(version), func(i lock.Image) bool { return slices.Contains(names, i.Name) })
}

func TestReleasesAreWhole(t *testing.T) {
	step(t, "complete", stepCases{
		"three releases":    {nil, nil, nil},
		"one without proxy": {of(kubernetes("v1.36.3"), but("v1.36.10", "kube-proxy", "kubectl")), nil, []string{"kube-proxy@v1.36.10 images: is missing beside", "kubectl@v1.36.10"}},
		"no Kubernetes":     {of(one("etcd", "v3.6.16")), nil, nil},
	})
}

func TestAPIServersGoUpByOneMinor(t *testing.T) {
	step(t, "apiserver-step", stepCases{
		"alone":             {nil, nil, nil},
		"a patch":           {of(kubernetes("v1.36.3")), after(kubernetes("v1.36.1")), nil},
		"one minor":         {of(kubernetes("v1.36.3")), after(kubernetes("v1.35.4")), nil},
		"two minors":        {of(kubernetes("v1.36.3")), after(kubernetes("v1.34.4")), []string{"clusters on 1.34 have no way on: there is 1.36"}},
		"one of two is far": {of(kubernetes("v1.36.3")), after(kubernetes("v1.34.4"), kubernetes("v1.35.4")), []string{"clusters on 1.34"}},
		"with a bridge":     {of(kubernetes("v1.36.3"), kubernetes("v1.35.4")), after(kubernetes("v1.34.4")), nil},
		"down":              {of(kubernetes("v1.35.4")), after(kubernetes("v1.36.3")), []string{"clusters on 1.36"}},
	})
}

func TestKubeletsFindTheirAPIServer(t *testing.T) {
	step(t, "kubelet-skew", stepCases{
		"the same":               {nil, nil, nil},
		"three older":            {of(kubernetes("v1.36.3"), one("kubelet", "v1.33.1")), nil, nil},
		"four older":             {of(kubernetes("v1.36.3"), one("kubelet", "v1.32.1")), nil, []string{"kubelet@v1.32.1 version: no API server of the lock goes with it: there is 1.36"}},
		"newer":                  {of(kubernetes("v1.36.3"), one("kubelet", "v1.37.0")), nil, []string{"kubelet@v1.37.0"}},
		"no API server":          {of(one("kubelet", "v1.36.3")), nil, []string{"there is nothing"}},
		"no version":             {of(kubernetes("v1.36.3"), one("kubelet", "edge")), nil, []string{"is no version of Kubernetes"}},
		"nodes four behind":      {of(kubernetes("v1.36.3")), after(one("kubelet", "v1.32.1")), []string{"kubelet@v1.32.1 version: nodes that have it cannot follow"}},
		"nodes three behind":     {of(kubernetes("v1.36.3")), after(one("kubelet", "v1.33.1")), nil},
		"nodes ahead of masters": {of(kubernetes("v1.35.4")), after(kubernetes("v1.36.3")), []string{"kubelet@v1.36.3"}},
	})
	step(t, "kube-proxy-skew", stepCases{
		"the same":    {nil, nil, nil},
		"four older":  {of(kubernetes("v1.36.3"), one("kube-proxy", "v1.32.1")), nil, []string{"kube-proxy@v1.32.1"}},
		"four behind": {of(kubernetes("v1.36.3")), after(one("kube-proxy", "v1.32.1")), []string{"cannot follow"}},
	})
}

func TestKubectlIsWithinOneMinor(t *testing.T) {
	step(t, "kubectl-skew", stepCases{
		"the same":  {nil, nil, nil},
		"one newer": {of(kubernetes("v1.36.3"), one("kubectl", "v1.37.0")), nil, nil},
		"one older": {of(kubernetes("v1.36.3"), one("kubectl", "v1.35.0")), nil, nil},
		"two older": {of(kubernetes("v1.36.3"), one("kubectl", "v1.34.0")), nil, []string{"kubectl@v1.34.0 version: no API server of the lock is within one minor: there is 1.36"}},
		"two newer": {of(kubernetes("v1.36.3"), one("kubectl", "v1.38.0")), nil, []string{"kubectl@v1.38.0"}},
	})
}

func TestEtcdIsOfTheTestedSeries(t *testing.T) {
	step(t, "etcd-series", stepCases{
		"3.6 for 1.36":             {nil, nil, nil},
		"no etcd":                  {of(kubernetes("v1.36.3")), nil, []string{"etcd version: there is no etcd 3.6 for Kubernetes 1.36"}},
		"3.7 for 1.36":             {of(kubernetes("v1.36.3"), one("etcd", "v3.7.3", "1.36")), nil, []string{"etcd@v3.7.3 kubernetes: says that it fits Kubernetes 1.36", "there is no etcd 3.6"}},
		"3.7 for others":           {of(kubernetes("v1.36.3"), one("etcd", "v3.7.3", "1.37"), one("etcd", "v3.6.16", "1.36")), nil, nil},
		"one that claims all":      {of(kubernetes("v1.36.3"), one("etcd", "v3.5.24"), one("etcd", "v3.6.16", "1.36")), nil, []string{"etcd@v3.5.24 kubernetes"}},
		"a minor nobody looked up": {of(kubernetes("v1.40.0"), one("etcd", "v3.6.16")), nil, []string{"not known here which series Kubernetes 1.40"}},
	})
}

func TestEtcdGoesUpByOneMinor(t *testing.T) {
	step(t, "etcd-step", stepCases{
		"alone":         {nil, nil, nil},
		"a patch":       {of(one("etcd", "v3.6.16")), after(one("etcd", "v3.6.8")), nil},
		"one":           {of(one("etcd", "v3.6.16")), after(one("etcd", "v3.5.24")), nil},
		"two":           {of(one("etcd", "v3.7.3")), after(one("etcd", "v3.5.24")), []string{"data written by 3.5 cannot go on: there is 3.7"}},
		"two, with 3.6": {of(one("etcd", "v3.7.3"), one("etcd", "v3.6.16")), after(one("etcd", "v3.5.24")), nil},
		"down":          {of(one("etcd", "v3.5.24")), after(one("etcd", "v3.6.16")), []string{"data written by 3.6"}},
		"gone":          {of(one("coredns", "v1.15.0")), after(one("etcd", "v3.6.16")), []string{"there is nothing"}},
	})
}

func TestAutoscalersAreOfTheClustersMinor(t *testing.T) {
	const name = "cluster-autoscaler"
	step(t, "autoscaler", stepCases{
		"none":            {nil, nil, nil},
		"one each":        {of(kubernetes("v1.36.3"), kubernetes("v1.35.4"), one(name, "v1.36.1", "1.36"), one(name, "v1.35.2", "1.35")), nil, nil},
		"one is missing":  {of(kubernetes("v1.36.3"), kubernetes("v1.35.4"), one(name, "v1.36.1", "1.36")), nil, []string{"cluster-autoscaler version: there is none for Kubernetes 1.35"}},
		"one for two":     {of(kubernetes("v1.36.3"), one(name, "v1.36.1", "1.35", "1.36")), nil, []string{`["1.35" "1.36"] is not the one minor`}},
		"one that is all": {of(kubernetes("v1.36.3"), one(name, "v1.36.1")), nil, []string{"is not the one minor"}},
	})
}

func TestCalicoIsTestedWithItsKubernetes(t *testing.T) {
	step(t, "calico", stepCases{
		"none":           {nil, nil, nil},
		"within":         {of(kubernetes("v1.34.4"), kubernetes("v1.36.3"), one("calico-node", "v3.32.1")), nil, nil},
		"too old":        {of(kubernetes("v1.36.3"), one("calico-node", "v3.28.5", "1.36")), nil, []string{"calico-node@v3.28.5 kubernetes: is used for Kubernetes 1.36; it is tested with 1.27 to 1.30"}},
		"for none here":  {of(kubernetes("v1.36.3"), one("calico-node", "v3.28.5", "1.30")), nil, nil},
		"not known here": {of(kubernetes("v1.36.3"), one("calico-cni", "v3.30.0")), nil, []string{"not known here what it is tested with"}},
	})
}

func TestOpenStacksControllerManagerIsNotNewer(t *testing.T) {
	manager := func(version string, minors ...string) []lock.Image {
		return one("openstack-cloud-controller-manager", version, minors...)
	}
	step(t, "openstack", stepCases{
		"none":               {nil, nil, nil},
		"the same":           {of(kubernetes("v1.36.3"), manager("v1.36.0")), nil, nil},
		"one older":          {of(kubernetes("v1.36.3"), manager("v1.35.0")), nil, nil},
		"two older":          {of(kubernetes("v1.36.3"), manager("v1.34.1")), nil, []string{"is used for Kubernetes 1.36; it may be one minor older, and not newer"}},
		"newer":              {of(kubernetes("v1.35.4"), manager("v1.36.0")), nil, []string{"is used for Kubernetes 1.35"}},
		"newer, not for it":  {of(kubernetes("v1.35.4"), kubernetes("v1.36.3"), manager("v1.36.0", "1.36")), nil, nil},
		"a client two newer": {of(kubernetes("v1.34.4"), one("k8s-keystone-auth", "v1.36.0")), nil, nil},
	})
}

func TestVersionsAreOrderedByNumber(t *testing.T) {
	versions := []string{"v1.36.10", "1.36.9", "nightly", "v1.37.0-rc.1", "v1.37.0", "v1.36.9-rc.0"}
	slices.SortFunc(versions, Newer)
	want := []string{"nightly", "v1.36.9-rc.0", "1.36.9", "v1.36.10", "v1.37.0-rc.1", "v1.37.0"}
	if !slices.Equal(versions, want) {
		t.Errorf("got %v", versions)
	}
}
