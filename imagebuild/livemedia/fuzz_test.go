package livemedia

import (
	"bytes"
	"errors"
	"testing"

	"slipway.build/slipway/imagebuild/livemedia/iso9660"
)

// FuzzInspect puts foreign descriptions of the areas into an image that is otherwise right.
func FuzzInspect(f *testing.F) {
	base := bytesOf(f, image(f, form{}))
	legacy := bytesOf(f, image(f, form{legacy: true}))
	iso, err := iso9660.Open(bytes.NewReader(base), int64(len(base)))
	if err != nil {
		f.Fatal(err)
	}
	var at [2]iso9660.Extent
	var seed [2][]byte
	for i, name := range []string{ignInfo, kargsInfo} {
		if at[i], err = iso.Find(name); err != nil {
			f.Fatal(err)
		}
		seed[i], _ = iso.ReadFile(name, maxInfo)
	}
	f.Add(seed[0], seed[1], legacy[kargsHeader:iso9660.SystemArea])
	f.Add([]byte(`{"file":"images/ignition.img","offset":262143,"length":9}`), []byte(`{"default":"","files":[{"path":"x"}],"size":-1}`), []byte(kargsMagic))
	f.Fuzz(func(t *testing.T, ign, kargs, header []byte) {
		for _, from := range [][]byte{base, legacy} {
			b := bytes.Clone(from)
			copy(b[kargsHeader:iso9660.SystemArea], header)
			if bytes.Equal(from, base) {
				for i, text := range [][]byte{ign, kargs} {
					area := b[at[i].Offset : at[i].Offset+at[i].Length]
					copy(area, bytes.Repeat([]byte(" "), len(area)))
					copy(area, text)
				}
			}
			m, err := Inspect(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNotLive) && !errors.Is(err, ErrDiffer) {
					t.Errorf("an error of no kind: %v", err)
				}
				continue
			}
			if m.Ignition.Offset < iso9660.SystemArea || m.Ignition.end() > int64(len(b)) {
				t.Errorf("area %s of %d bytes", m.Ignition, len(b))
			}
		}
	})
}
