package luks_test

import (
	"strings"
	"testing"

	"slipway.build/slipway/imagebuild/ignition/butane"
	"slipway.build/slipway/imagebuild/ignition/config"
	"slipway.build/slipway/imagebuild/ignition/lint"
	"slipway.build/slipway/imagebuild/ignition/luks"
)

func TestAVolumeBecomesIgnitionThatNamesItsCipher(t *testing.T) {
	v, err := luks.Parse("etcd=/dev/disk/by-id/virtio-etcd,tpm2,tang=http://tang.example.org#AbC,threshold=2,mount=/var/lib/etcd")
	if err != nil {
		t.Fatal(err)
	}
	text, err := v.Butane()
	if err != nil {
		t.Fatal(err)
	}
	ign, entries := butane.Render("volume", text, butane.Options{})
	if err := entries.Err(false); err != nil {
		t.Fatal(err)
	}
	if err := lint.Validate("volume", ign, 0).Err(false); err != nil {
		t.Error(err)
	}
	c, _ := config.Parse("volume", ign)
	got, err := config.Convert(c, "3.2.0")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"options":["--cipher","aes-xts-plain64","--key-size","512"]`,
		`"clevis":{"tang":[{"thumbprint":"AbC","url":"http://tang.example.org"}],"threshold":2,"tpm2":true}`,
		`"device":"/dev/disk/by-id/virtio-etcd"`, `"device":"/dev/mapper/etcd"`, `"path":"/var/lib/etcd"`, `"format":"xfs"`, `var-lib-etcd.mount`,
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
}

func TestVolumesThatNothingOpensOrThatMakeNoSenseAreRefused(t *testing.T) {
	for _, text := range []string{
		"", "etcd", "etcd=/dev/vdb", "=/dev/vdb,tpm2", "a/b=/dev/vdb,tpm2", "etcd=vdb,tpm2", "etcd=/dev/../vdb,tpm2",
		"etcd=/dev/vdb,tpm", "etcd=/dev/vdb,tpm2,threshold=2", "etcd=/dev/vdb,tpm2,threshold=x", "etcd=/dev/vdb,tpm2,threshold=-1",
		"etcd=/dev/vdb,tang=tang.example.org#x", "etcd=/dev/vdb,tang=http://tang.example.org", "etcd=/dev/vdb,tpm2,mount=/etc/x", "etcd=/dev/vdb,tpm2,mount=var/x",
	} {
		if v, err := luks.Parse(text); err == nil {
			t.Errorf("%q is accepted: %+v", text, v)
		} else if _, err := v.Butane(); err == nil && text != "" && v.Name != "" {
			t.Errorf("%q becomes Butane", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("etcd=/dev/vdb,tpm2,tang=http://a#b,threshold=2,mount=/var/x,format=ext4,keep")
	f.Fuzz(func(t *testing.T, text string) {
		v, err := luks.Parse(text)
		if err != nil {
			return
		}
		if _, err := v.Butane(); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	})
}
