package livemedia

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// errInterrupted is what reading an image says of which a change in place was cut off.
var errInterrupted = errors.New("a change in place was interrupted; make any change to undo it, or slipway os ignition recover")

// journal is what the areas of an image had before a change in place. It lies beside the image
// from before the first byte is overwritten until the last one has been read back.
type journal struct {
	Size int64 `json:"size"`
	Old  []old `json:"old"`
}

type old struct {
	Region
	SHA256 string `json:"sha256"`
	Data   []byte `json:"data"`
}

func journalOf(iso string) string { return iso + ".slipway-journal" }

func inPlace(iso string, in *source, patches []patch, check func(*os.File) error) error {
	j := journal{Size: in.size}
	for _, p := range patches {
		b, err := p.read(in)
		if err != nil {
			return err
		}
		j.Old = append(j.Old, old{p.Region, sum(b), b})
	}
	b, err := json.Marshal(j)
	if err != nil {
		return err
	}
	// Areas may hold a node's token: the journal is for the owner alone.
	if err := renameio.WriteFile(journalOf(iso), b, 0o600); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	if err := syncDir(filepath.Dir(iso)); err != nil {
		return err
	}
	err = write(in.File, patches)
	if err == nil {
		err = check(in.File)
	}
	if err != nil {
		if undo := recoverFrom(iso, in); undo != nil {
			return fmt.Errorf("%w; what the areas had is in %s: %w", err, journalOf(iso), undo)
		}
		return err
	}
	return removeJournal(iso)
}

func removeJournal(iso string) error {
	if err := os.Remove(journalOf(iso)); err != nil {
		return fmt.Errorf("remove the journal: %w", err)
	}
	return syncDir(filepath.Dir(iso))
}

// recoverFrom gives an image back what its areas had before a change in place that was cut off.
func recoverFrom(iso string, in *source) error {
	b, err := os.ReadFile(journalOf(iso))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	var j journal
	if err := json.Unmarshal(b, &j); err != nil {
		return fmt.Errorf("read the journal %s: %w", journalOf(iso), err)
	}
	if j.Size != in.size {
		return fmt.Errorf("the journal %s is that of an image of %d bytes, this one has %d: delete it if it is of no use", journalOf(iso), j.Size, in.size)
	}
	var patches []patch
	var regions []Region
	for _, o := range j.Old {
		if o.Offset < 0 || o.Length != int64(len(o.Data)) || o.end() > in.size || sum(o.Data) != o.SHA256 {
			return fmt.Errorf("the journal %s is damaged", journalOf(iso))
		}
		patches, regions = append(patches, patch{o.Region, o.Data}), append(regions, o.Region)
	}
	if err := disjoint(regions); err != nil {
		return fmt.Errorf("the journal %s: %w", journalOf(iso), err)
	}
	if err := write(in.File, patches); err != nil {
		return fmt.Errorf("undo an interrupted change: %w", err)
	}
	return removeJournal(iso)
}

// Recover undoes a change in place that was cut off, and reports whether there was one.
func Recover(iso string) (bool, error) {
	iso, err := filepath.EvalSymlinks(iso)
	if err != nil {
		return false, fmt.Errorf("open the image: %w", err)
	}
	if _, err := os.Stat(journalOf(iso)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	in, err := openLocked(iso, os.O_RDWR)
	if err != nil {
		return false, err
	}
	defer in.Close()
	return true, recoverFrom(iso, in)
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}
