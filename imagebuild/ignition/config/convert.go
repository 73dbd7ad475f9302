package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/coreos/ignition/v2/config/v3_6/types"

	"slipway.build/slipway/imagebuild/ignition/report"
)

// Versions are those of Ignition's specification that are written, the newest last.
func Versions() []string {
	return []string{"3.0.0", "3.1.0", "3.2.0", "3.3.0", "3.4.0", "3.5.0", "3.6.0"}
}

// Convert writes a configuration in the version of the specification. An older one must be able
// to say all of it: the result is read back by the rules of its version, and must mean the same.
func Convert(c types.Config, version string) ([]byte, error) {
	if !slices.Contains(Versions(), version) {
		return nil, fmt.Errorf("version %q of Ignition's specification is unknown; known are %s", version, strings.Join(Versions(), ", "))
	}
	newest, err := Marshal(c)
	if err != nil || version == types.MaxVersion.String() {
		return newest, err
	}
	t, err := Tree(c)
	if err != nil {
		return nil, err
	}
	t["ignition"].(map[string]any)["version"] = version
	data, err := encode(t)
	if err != nil {
		return nil, err
	}
	back, entries := Parse("version "+version, data)
	_, already := Parse("version "+version, newest)
	for _, e := range entries {
		if !slices.ContainsFunc(already, func(a report.Entry) bool { return a.Path == e.Path && a.Message == e.Message }) {
			return nil, fmt.Errorf("version %s of Ignition's specification cannot say this: %s: %s", version, e.Path, e.Message)
		}
	}
	if already.Err(true) == nil {
		d, err := Difference(c, back)
		if err != nil {
			return nil, err
		}
		if d != "" {
			return nil, fmt.Errorf("version %s of Ignition's specification cannot say this: %s would be lost", version, d)
		}
	}
	return data, nil
}
