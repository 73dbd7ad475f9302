package journal

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/bbolt"
)

// Owed is a restart that a unit needs because a certificate of its was renewed. It is written
// before the certificate is, and counts once the file has that fingerprint.
type Owed struct {
	Unit        string `json:"unit"`
	Certificate string `json:"certificate"`
	Fingerprint string `json:"fingerprint"` // hex sha256 of the DER certificate
}

// restartBucket holds owed restarts by unit and certificate.
const restartBucket = "restarts"

func (o Owed) key() []byte { return []byte(o.Unit + "\x00" + o.Certificate) }

// Owe remembers restarts; a later one for the same unit and certificate replaces the one before.
func (j *Journal) Owe(restarts []Owed) error {
	if len(restarts) == 0 {
		return nil
	}
	err := j.db.Update(func(tx *bbolt.Tx) error {
		for _, restart := range restarts {
			raw, err := json.Marshal(restart)
			if err != nil {
				return err
			}
			if err := tx.Bucket([]byte(restartBucket)).Put(restart.key(), raw); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("journal owed restarts: %w", err)
	}
	return nil
}

// OwedRestarts returns what is owed, by unit, in the order of their names.
func (j *Journal) OwedRestarts() ([]Owed, error) {
	var out []Owed
	err := j.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(restartBucket)).ForEach(func(_, raw []byte) error {
			var owed Owed
			if err := json.Unmarshal(raw, &owed); err != nil {
				return err
			}
			out = append(out, owed)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	return out, nil
}

// Settle forgets restarts that were done or have become pointless.
func (j *Journal) Settle(restarts []Owed) error {
	if len(restarts) == 0 {
		return nil
	}
	err := j.db.Update(func(tx *bbolt.Tx) error {
		for _, restart := range restarts {
			if err := tx.Bucket([]byte(restartBucket)).Delete(restart.key()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget owed restarts in the journal: %w", err)
	}
	return nil
}

// UnitsOf returns the units of restarts, each once, sorted.
func UnitsOf(restarts []Owed) []string {
	units := map[string]bool{}
	for _, restart := range restarts {
		units[restart.Unit] = true
	}
	return slices.Sorted(maps.Keys(units))
}
