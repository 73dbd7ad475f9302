package pki

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"slipway.build/slipway/controlplane/store"
)

// statementFact is the fact, of no cluster, that keeps a statement of plan keys. Numbers of one
// width sort as text.
func statementFact(number uint64) string { return fmt.Sprintf("%s%09d", statementFacts, number) }

const statementFacts = "plan-keys/"

// PlanKeys implements KeyHistory.
func (r *StoreRecords) PlanKeys(ctx context.Context) ([]KeyRecord, [][]byte, error) {
	rows, err := r.store.Authorities(ctx, "")
	if err != nil {
		return nil, nil, err
	}
	var keys []KeyRecord
	for _, row := range rows {
		if row.Purpose == string(planKeyPurpose) {
			keys = append(keys, KeyRecord{Version: row.Version, Made: row.CreatedAt, SealedKey: row.SealedKey})
		}
	}
	slices.SortFunc(keys, func(a, b KeyRecord) int { return a.Version - b.Version })
	facts, err := r.store.Facts(ctx, "")
	if err != nil {
		return nil, nil, err
	}
	var names []string
	for name := range facts {
		if strings.HasPrefix(name, statementFacts) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var statements [][]byte
	for _, name := range names {
		statement, err := base64.StdEncoding.DecodeString(facts[name])
		if err != nil {
			return nil, nil, fmt.Errorf("fact %s: %w", name, err)
		}
		statements = append(statements, statement)
	}
	return keys, statements, nil
}

// Announce implements KeyHistory. Of two that announce at the same time one fails.
func (r *StoreRecords) Announce(ctx context.Context, key KeyRecord, number uint64, statement []byte) error {
	return r.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.InsertAuthority(ctx, &store.Authority{Purpose: string(planKeyPurpose), Version: key.Version, SealedKey: key.SealedKey}); err != nil {
			return err
		}
		return keepStatement(ctx, tx, number, statement)
	})
}

// Drop implements KeyHistory.
func (r *StoreRecords) Drop(ctx context.Context, versions []int, number uint64, statement []byte) error {
	return r.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		for _, version := range versions {
			if err := tx.DeleteAuthorityVersion(ctx, "", string(planKeyPurpose), version); err != nil {
				return err
			}
		}
		return keepStatement(ctx, tx, number, statement)
	})
}

// keepStatement adds a statement under a number that must be free. Nodes learn of it with
// their next answer, at most a long poll later.
func keepStatement(ctx context.Context, tx *store.Tx, number uint64, statement []byte) error {
	encoded := base64.StdEncoding.EncodeToString(statement)
	kept, err := tx.SetFactOnce(ctx, "", statementFact(number), encoded)
	if err != nil {
		return err
	}
	if kept != encoded {
		return fmt.Errorf("statement %d of plan keys is there already", number)
	}
	return nil
}
