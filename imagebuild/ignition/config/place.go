package config

import (
	"github.com/coreos/vcontext/json"
	"github.com/coreos/vcontext/path"
	"github.com/coreos/vcontext/tree"

	"slipway.build/slipway/imagebuild/ignition/report"
)

// At finds a field in the text of a configuration: the deepest part of the path that is there.
func At(file string, data []byte, field ...any) place {
	p := place{file: file, path: path.New("json", field...)}
	root, err := json.UnmarshalToContext(data)
	if err != nil || root == nil {
		return p
	}
	p.line, p.column = Position(root, p.path)
	return p
}

// Position returns line and column of the deepest part of a path that is in the text, 0 and 0
// when nothing is.
func Position(root tree.Node, at path.ContextPath) (line, column int) {
	for {
		if n, err := root.Get(at); err == nil {
			l, c := n.Start()
			return int(l), int(c)
		}
		if at.Len() == 0 {
			return 0, 0
		}
		at = at.Pop()
	}
}

// Place gives entries that have none the position of a field.
func Place(e report.Entry, file string, data []byte, field ...any) report.Entry {
	return At(file, data, field...).with(e)
}
