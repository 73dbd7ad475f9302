package store

import (
	"github.com/uptrace/bun"

	"slipway.build/slipway/controlplane/fault"
)

// Page bounds and orders a listing.
type Page struct {
	// Limit is the most rows to return; all when zero.
	Limit int
	// Marker is the id (UUID) of the last row of the page before; the first page when empty.
	Marker string
	// Descending returns the newest first.
	Descending bool
	// SortKey is a column of the listing's sort keys; creation order when empty. Ties are
	// broken by creation order.
	SortKey string
}

// apply adds the page to q. table, id and seq name the table and its two keys; keys are the
// columns that may be sorted by. The marker is looked up inside the database.
func (p Page) apply(q *bun.SelectQuery, table, id, seq string, keys ...string) (*bun.SelectQuery, error) {
	dir, cmp := "ASC", ">"
	if p.Descending {
		dir, cmp = "DESC", "<"
	}
	sort := ""
	if p.SortKey != "" && p.SortKey != seq {
		for _, k := range keys {
			if k == p.SortKey {
				sort = k
			}
		}
		if sort == "" {
			return nil, fault.Terminalf("The sort_key value %q is an invalid field for sorting", p.SortKey)
		}
	}
	if p.Marker != "" {
		if sort == "" {
			q = q.Where("? "+cmp+" (SELECT ? FROM ? WHERE ? = ?)", bun.Ident(seq), bun.Ident(seq), bun.Ident(table), bun.Ident(id), p.Marker)
		} else {
			// Row values compare column by column in both databases; COALESCE puts rows
			// without a value first.
			q = q.Where("(COALESCE(CAST(? AS TEXT), ''), ?) "+cmp+" (SELECT COALESCE(CAST(? AS TEXT), ''), ? FROM ? WHERE ? = ?)",
				bun.Ident(sort), bun.Ident(seq), bun.Ident(sort), bun.Ident(seq), bun.Ident(table), bun.Ident(id), p.Marker)
		}
	}
	if sort != "" {
		q = q.OrderExpr("COALESCE(CAST(? AS TEXT), '') "+dir, bun.Ident(sort))
	}
	q = q.OrderExpr("? "+dir, bun.Ident(seq))
	if p.Limit > 0 {
		q = q.Limit(int64(p.Limit))
	}
	return q, nil
}
