package livemedia

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway.build/slipway/imagebuild/livemedia/iso9660"
)

const (
	areaSize    = 262144 // what x86_64 images have
	kargsSize   = 1139   // of an image of July 2023
	defaultArgs = "mitigations=auto,nosmt coreos.liveiso=fedora-coreos-38.20230709.dev.0 ignition.firstboot ignition.platform.id=metal"
)

// form says how an image of the tests describes its areas.
type form struct {
	noIgnInfo  bool // only IMAGES/IGNITION.IMG
	offset     int  // of the area in its file
	noKargs    bool
	legacy     bool // only headers in the system area
	filler     int  // bytes of another file
	grubArgs   string
	noIgnition bool
}

// image makes a live image as xorriso writes it, with the skeleton of Fedora CoreOS's.
func image(t testing.TB, f form) string {
	t.Helper()
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree")
	put := func(path string, data []byte) {
		t.Helper()
		path = filepath.Join(tree, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	args := func(pad string) string {
		text := defaultArgs + "\n"
		return text + strings.Repeat(pad, kargsSize-len(text))
	}
	grub := strings.Repeat("set x=y\n", 121) + "  "
	isolinux := strings.Repeat("label z\n", 230) + "append "
	inGrub := args("#")
	if f.grubArgs != "" {
		inGrub = strings.Replace(inGrub, defaultArgs, f.grubArgs, 1)[:kargsSize]
	}
	put("EFI/fedora/grub.cfg", []byte(grub+inGrub+"\ninitrd /images/initrd.img\n"))
	put("isolinux/isolinux.cfg", []byte(isolinux+args("#")+"\n"))
	put("images/pxeboot/vmlinuz", bytes.Repeat([]byte("kernel"), 1000))
	put("images/filler.img", bytes.Repeat([]byte{0xa5}, f.filler+1))
	put("coreos/features.jso", []byte(`{"installer-config": true, "live-initrd-network": true}`))
	name, area := "images/ignition.img", make([]byte, areaSize)
	if f.offset > 0 {
		name, area = "images/many.img", append(bytes.Repeat([]byte{7}, f.offset), append(area, 7, 7, 7)...)
	}
	if f.legacy {
		name = "images/area.img"
	}
	if !f.noIgnition {
		put(name, area)
	}
	if !f.noIgnInfo && !f.legacy {
		info := map[string]any{"file": name}
		if f.offset > 0 {
			info["offset"], info["length"] = f.offset, areaSize
		}
		put("coreos/igninfo.jso", jsonOf(t, info))
	}
	if !f.noKargs && !f.legacy {
		put("coreos/kargs.jso", jsonOf(t, map[string]any{"default": defaultArgs, "size": kargsSize, "files": []any{
			map[string]any{"path": "EFI/fedora/grub.cfg", "offset": len(grub), "pad": "#", "end": "\n"},
			map[string]any{"path": "isolinux/isolinux.cfg", "offset": len(isolinux)},
		}}))
	}
	if f.legacy {
		put("images/default.arg", []byte(args("#")))
	}
	iso := filepath.Join(dir, "live.iso")
	cmd := exec.Command("xorriso", "-as", "mkisofs", "-quiet", "-o", iso, "-V", "fedora-coreos-38.2023070", "-iso-level", "2", tree)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("xorriso (make test-deps installs it): %v: %s", err, out)
	}
	if f.legacy {
		legacyHeaders(t, iso, name, len(grub), len(isolinux))
	}
	return iso
}

// legacyHeaders describes the areas as the images of 2021 did.
func legacyHeaders(t testing.TB, iso, area string, grub, isolinux int) {
	t.Helper()
	f, err := os.OpenFile(iso, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, _ := f.Stat()
	fs, err := iso9660.Open(f, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	find := func(path string) uint64 {
		e, err := fs.Find(path)
		if err != nil {
			t.Fatal(err)
		}
		return uint64(e.Offset)
	}
	kargs := []byte("coreKarg")
	for _, v := range []uint64{kargsSize, find("images/default.arg"), find("EFI/fedora/grub.cfg") + uint64(grub), find("isolinux/isolinux.cfg") + uint64(isolinux), 0, 0, 0, 0} {
		kargs = binary.LittleEndian.AppendUint64(kargs, v)
	}
	ign := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64([]byte("coreiso+"), find(area)), areaSize)
	if _, err := f.WriteAt(append(kargs, ign...), 32768-96); err != nil {
		t.Fatal(err)
	}
}

func jsonOf(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func bytesOf(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// forms are all the ways in which images describe their areas.
var forms = map[string]form{
	"modern":              {},
	"without IGNINFO.JSO": {noIgnInfo: true},
	"an area in a file":   {offset: 5000},
	"legacy":              {legacy: true},
}
