package components

import (
	"slices"
	"testing"
)

func TestUsers(t *testing.T) {
	want := []string{"slip-apiserver", "slip-etcd", "slip-kcm", "slip-scheduler"}
	if got := Users(); !slices.Equal(got, want) {
		t.Errorf("users %v, want %v", got, want)
	}
}
