package compute

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/network/property"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

const kindVolume = "volume"

// volumeRecord is what is known of a volume; its bytes are in a sparse file.
type volumeRecord struct {
	ID, Name string
	Cluster  string
	Size     int // GiB
}

// volumeType is OS::Cinder::Volume: a sparse file with an ext4 file system, mounted through a
// loop device, so that its size is a real limit.
type volumeType struct{ c *Compute }

// maxVolume is the largest volume in GiB; a sparse file costs nothing, but its inode tables do.
const maxVolume = 16384

func (volumeType) Schema() cloud.Schema {
	return cloud.Schema{Properties: []cloud.Property{
		{Name: "name", Kind: cloud.String},
		{Name: "size", Kind: cloud.Number, Required: true},
	}}
}

func (t volumeType) Create(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	var p struct {
		Name string       `json:"name"`
		Size property.Int `json:"size"`
	}
	if err := property.Decode(req, t.Schema(), &p); err != nil {
		return cloud.Object{}, err
	}
	if p.Size < 1 || p.Size > maxVolume {
		return cloud.Object{}, fault.Terminalf("resource %s: property size: %d is not between 1 and %d GiB", req.Name, p.Size, maxVolume)
	}
	v := volumeRecord{ID: record.ID(kindVolume, req.Key), Name: p.Name, Cluster: req.Cluster, Size: int(p.Size)}
	unlock, err := t.c.lock(ctx, v.ID)
	if err != nil {
		return cloud.Object{}, err
	}
	defer unlock()
	old, err := record.Get[volumeRecord](t.c.Store, kindVolume, v.ID)
	switch {
	case err == nil && old.Size != v.Size:
		return cloud.Object{}, fault.Terminalf("resource %s: property size: volume %s has %d GiB and cannot become %d", req.Name, v.ID, old.Size, v.Size)
	case err != nil && !errors.Is(err, record.ErrNotFound):
		return cloud.Object{}, err
	}
	if err := t.c.formatVolume(ctx, v); err != nil {
		return cloud.Object{}, fmt.Errorf("create volume %s: %w", v.ID, err)
	}
	err = t.c.Store.Update(ctx, func(tx *record.Tx) error { return tx.Put(kindVolume, v.ID, v) })
	return cloud.Object{Physical: v.ID}, err
}

func (t volumeType) Delete(ctx context.Context, req cloud.Request) error {
	id := record.ID(kindVolume, req.Key)
	unlock, err := t.c.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	servers, err := record.List[serverRecord](t.c.Store, kindServer)
	if err != nil {
		return err
	}
	for _, s := range servers {
		for _, a := range s.Volumes {
			if a.Volume == id {
				return fault.Retriablef("volume %s is attached to server %s: delete that first", id, s.Name)
			}
		}
	}
	if err := os.RemoveAll(t.c.volumeDir(id)); err != nil {
		return fmt.Errorf("delete volume %s: %w", id, err)
	}
	return t.c.Store.Update(ctx, func(tx *record.Tx) error { return tx.Delete(kindVolume, id) })
}

func (c *Compute) volumeDir(id string) string  { return filepath.Join(c.Dir, "volumes", id) }
func (c *Compute) volumeFile(id string) string { return filepath.Join(c.volumeDir(id), "disk.img") }

// formatVolume makes the volume's file, whole or not at all.
func (c *Compute) formatVolume(ctx context.Context, v volumeRecord) error {
	disk := c.volumeFile(v.ID)
	if _, err := os.Stat(disk); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(disk), 0o700); err != nil {
		return err
	}
	half := disk + ".part"
	if err := os.RemoveAll(half); err != nil {
		return err
	}
	f, err := os.OpenFile(half, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(int64(v.Size) << 30); err != nil {
		return err
	}
	if err := tool(ctx, "mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", "-U", v.ID, half); err != nil {
		return fmt.Errorf("make its file system: %w", err)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Rename(half, disk)
}

// mountVolume mounts the volume at dir, which it makes. mount(8) takes a free loop device that
// goes with the mount.
func (c *Compute) mountVolume(ctx context.Context, id, dir string) error {
	if is, err := mounted(dir); err != nil || is {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := tool(ctx, "mount", "-o", "loop,noatime", c.volumeFile(id), dir); err != nil {
		return fmt.Errorf("mount volume %s: %w", id, err)
	}
	return nil
}
