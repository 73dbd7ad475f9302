package pull

import (
	"fmt"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/fault"
)

const (
	defaultReserve = 64 << 20
	// recordBytes is what an image takes beside its files: record, manifest, directories.
	recordBytes = 64 << 10
)

// NoRoomError says that the missing images do not fit on the store's file system. It comes before
// the first byte is fetched, and as a retriable fault: room may be made.
type NoRoomError struct {
	Dir          string
	Needed, Free int64 // bytes; Needed includes what must stay free
}

func (e *NoRoomError) Error() string {
	return fmt.Sprintf("%s has %d bytes free, the missing images need %d with what must stay free: nothing was fetched; make room or give the node a larger disk", e.Dir, e.Free, e.Needed)
}

// gate refuses to begin a pull that could not end. The signed lock tells the sizes of all files.
func (p *Puller) gate(missing []Want, c *contents) error {
	needed := p.Reserve
	if needed == 0 {
		needed = defaultReserve
	}
	for _, want := range missing {
		needed += want.room(c)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(p.Store.Dir, &fs); err != nil {
		return fault.Retriablef("ask for the free room in %s: %w", p.Store.Dir, err)
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < needed {
		return &fault.Error{Kind: fault.Retriable, Err: &NoRoomError{p.Store.Dir, needed, free}}
	}
	return nil
}

// room is how many bytes an image will take, without what the store seems to have already.
func (w Want) room(c *contents) int64 {
	room := int64(recordBytes)
	if w.Root {
		for _, file := range w.Locked.Files {
			if len(c.files[file.SHA256]) == 0 {
				room += file.Size
			}
		}
	}
	if w.Layout {
		for _, layer := range w.Locked.Layers {
			if len(c.blobs[layer.Digest]) == 0 {
				room += layer.Size
			}
		}
	}
	return room
}
