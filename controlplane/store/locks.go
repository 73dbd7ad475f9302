package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"
)

// Lock is a row of locks: a signed lock that plans or actions name.
type Lock struct {
	bun.BaseModel `bun:"table:locks"`

	Seq       int64     `bun:"seq,pk,autoincrement"`
	Digest    string    `bun:"digest"` // sha256:… of the canonical bytes
	Canonical []byte    `bun:"canonical"`
	Signature []byte    `bun:"signature"` // the newest that was made of it
	CreatedAt time.Time `bun:"created_at"`
}

// KeepLock keeps a signed lock for ever: a node whose plan names it may ask for it after newer ones
// were made. A lock that is there already gets the signature.
func (tx *Tx) KeepLock(ctx context.Context, l *Lock) error {
	_, err := tx.exec(ctx, "keep lock "+l.Digest,
		`INSERT INTO locks (digest, canonical, signature, created_at) VALUES (?, ?, ?, ?)
		 ON CONFLICT (digest) DO UPDATE SET signature = excluded.signature`, l.Digest, l.Canonical, l.Signature, tx.now)
	return err
}

// Lock returns the signed lock whose canonical bytes have that digest, or ErrNotFound.
func (r Reader) Lock(ctx context.Context, digest string) (*Lock, error) {
	l := new(Lock)
	err := r.db.NewSelect().Model(l).Where("digest = ?", digest).Scan(ctx)
	return l, notFound(err, "signed lock", digest)
}
