package butane

import (
	"strconv"
	"strings"

	cutil "github.com/coreos/butane/config/util"
	"github.com/coreos/vcontext/path"
	vyaml "github.com/coreos/vcontext/yaml"

	"slipway.build/slipway/imagebuild/ignition/config"
	"slipway.build/slipway/imagebuild/ignition/report"
)

// Locate gives entries about a rendered configuration their place in the Butane text: that of
// the deepest part of the field that is there by the same name.
func Locate(file string, text []byte, entries report.Entries) report.Entries {
	root, err := vyaml.UnmarshalToContext(text)
	if err != nil || root == nil {
		return entries
	}
	for i := range entries {
		e := &entries[i]
		var at []any
		for _, part := range strings.Split(e.Path, ".")[1:] {
			if n, err := strconv.Atoi(part); err == nil {
				at = append(at, n)
			} else {
				at = append(at, cutil.Snake(part))
			}
		}
		e.File = file
		if e.Line, e.Column = config.Position(root, path.New("yaml", at...)); e.Line == 0 {
			e.Line, e.Column = 1, 1
		}
	}
	return entries.Sort()
}
