package components

import (
	"slices"
	"testing"
)

func TestOfEveryCertificateItIsSaidHowItsRenewalIsMet(t *testing.T) {
	for name := range purposes() {
		if rereads()[name] == "" {
			t.Errorf("nothing is said of %s: name who reads it again, or leave it out on purpose and change this test", name)
		}
	}
	for name := range rereads() {
		if _, ok := purposes()[name]; !ok {
			t.Errorf("%s is no purpose", name)
		}
	}
}

func TestACertificateThatIsReadAtTheStartOnlyNamesItsUnit(t *testing.T) {
	if got := restarts("unheard-of", "etcd"); !slices.Equal(got, []string{"slipway-etcd.service"}) {
		t.Errorf("restarts %v", got)
	}
	if got := restarts(EtcdServer, "etcd"); got != nil {
		t.Errorf("etcd would be restarted: %v", got)
	}
}
