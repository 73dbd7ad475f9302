package livemedia_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"slipway.build/slipway/imagebuild/livemedia"
)

// record is a directory record of ISO 9660.
func record(name string, sector, length uint32, directory bool) []byte {
	r := make([]byte, 33+len(name)+(1-len(name)%2))
	r[0], r[28], r[31], r[32] = byte(len(r)), 1, 1, byte(len(name))
	binary.LittleEndian.PutUint32(r[2:], sector)
	binary.BigEndian.PutUint32(r[6:], sector)
	binary.LittleEndian.PutUint32(r[10:], length)
	binary.BigEndian.PutUint32(r[14:], length)
	if directory {
		r[25] = 2
	}
	copy(r[33:], name)
	return r
}

// smallest writes the least that is a live image: its area for a configuration and the way there.
func smallest(file string) error {
	const sector, area = 2048, 262144
	b := make([]byte, 20*sector+area)
	copy(b[16*sector:], "\x01CD001\x01")
	copy(b[16*sector+40:], "fedora-coreos                   ")
	binary.LittleEndian.PutUint16(b[16*sector+128:], sector)
	copy(b[16*sector+156:], record("\x00", 18, sector, true))
	copy(b[17*sector:], "\xffCD001\x01")
	copy(b[18*sector:], record("IMAGES", 19, sector, true))
	copy(b[19*sector:], record("IGNITION.IMG;1", 20, area, false))
	return os.WriteFile(file, b, 0o644)
}

func ExampleEmbed() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	iso := filepath.Join(dir, "fedora-coreos-live.iso")
	if err := smallest(iso); err != nil { // in earnest: one of Fedora CoreOS's
		log.Fatal(err)
	}

	c := livemedia.Content{Config: []byte(`{"ignition":{"version":"3.4.0"}}`)}
	mine := filepath.Join(dir, "mine.iso")
	if _, err := livemedia.Embed(context.Background(), iso, c, false, livemedia.Target{Output: mine}); err != nil {
		log.Fatal(err)
	}
	media, got, err := livemedia.Open(mine)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(media.Volume, media.Ignition)
	fmt.Println(string(got.Config))
	// Output:
	// fedora-coreos IMAGES/IGNITION.IMG (bytes 40960 to 303104)
	// {"ignition":{"version":"3.4.0"}}
}
