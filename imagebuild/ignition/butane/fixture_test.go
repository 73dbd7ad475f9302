package butane

import (
	"encoding/base64"
	"testing"

	"github.com/coreos/ignition/v2/config/v3_6/types"

	"slipway.build/slipway/imagebuild/ignition/config"
)

func base64Of(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func mustMarshal(t *testing.T, c types.Config) []byte {
	t.Helper()
	b, err := config.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
