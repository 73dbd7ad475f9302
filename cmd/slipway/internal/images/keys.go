package images

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/sign"
)

// KeysDir holds the statements of lock keys, <number>.json with the signature in <number>.json.sig.
func (p Paths) KeysDir() string { return filepath.Join(p.State, "control", "lock", "keys") }

func (p Paths) statement(number int64) string {
	return filepath.Join(p.KeysDir(), fmt.Sprintf("%06d.json", number))
}

// KeyChange is what a new statement of lock keys changes about the one before it.
type KeyChange struct {
	Add   []byte           // PEM of keys to add; nil adds none
	From  int64            // first lock number that they count for; 0 for all
	Until map[string]int64 // last lock number that keys count for, by id: how a key is revoked
}

// Statement returns the newest statement of lock keys, nil when there is none yet.
func Statement(p Paths) (*lock.KeyStatement, error) {
	files, err := filepath.Glob(filepath.Join(p.KeysDir(), "*.json"))
	if err != nil || len(files) == 0 {
		return nil, err
	}
	raw, err := os.ReadFile(files[len(files)-1]) // Glob sorts, and the numbers have one width
	if err != nil {
		return nil, fmt.Errorf("read the statement of lock keys: %w", err)
	}
	return lock.ParseKeys(raw)
}

// IssueKeys writes the next statement of lock keys, signed by key. It verifies the statement as a
// node would that has bakedPEM in its OS layer and has followed the statements before. slipwayd
// takes it in as soon as its file is there.
func IssueKeys(p Paths, key *sign.Key, bakedPEM []byte, change KeyChange, now time.Time) (*lock.KeyStatement, error) {
	before, err := Statement(p)
	if err != nil {
		return nil, err
	}
	next := &lock.KeyStatement{Schema: lock.KeysSchema, Number: 1, Issued: now.UTC().Truncate(time.Second).Format(time.RFC3339)}
	if before != nil {
		next.Number, next.Keys = before.Number+1, append(next.Keys, before.Keys...)
	}
	if err := apply(next, change); err != nil {
		return nil, err
	}
	trusted, err := lock.NewTrust(bakedPEM, before)
	if err != nil {
		return nil, err
	}
	statement, signature, err := key.SignKeys(next)
	if err != nil {
		return nil, err
	}
	if _, err := trusted.Next(statement, signature); err != nil {
		return nil, fmt.Errorf("nodes would refuse it: %w", err)
	}
	if err := os.MkdirAll(p.KeysDir(), 0o755); err != nil {
		return nil, fmt.Errorf("write the statement of lock keys: %w", err)
	}
	file := p.statement(next.Number)
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("write the statement of lock keys: %s is there already", file)
	}
	// The signature first: the statement counts once its own file is there.
	if err := renameio.WriteFile(file+".sig", signature, 0o644); err != nil {
		return nil, fmt.Errorf("write the statement of lock keys: %w", err)
	}
	if err := renameio.WriteFile(file, statement, 0o644); err != nil {
		return nil, fmt.Errorf("write the statement of lock keys: %w", err)
	}
	return next, nil
}

// apply changes the keys of a statement.
func apply(s *lock.KeyStatement, change KeyChange) error {
	at := func(id string) *lock.Key {
		for i := range s.Keys {
			if s.Keys[i].ID == id {
				return &s.Keys[i]
			}
		}
		s.Keys = append(s.Keys, lock.Key{ID: id})
		return &s.Keys[len(s.Keys)-1]
	}
	if len(change.Add) > 0 {
		added, err := lock.PublicKeys(change.Add)
		if err != nil {
			return err
		}
		for _, public := range added {
			text, err := lock.EncodePublicKey(public)
			if err != nil {
				return err
			}
			entry := at(lock.KeyID(public))
			entry.Public, entry.From = text, change.From
		}
	}
	for id, until := range change.Until {
		if until < 1 {
			return fmt.Errorf("key %s until lock number %d: give a number above zero", id, until)
		}
		at(id).Until = until
	}
	return nil
}
