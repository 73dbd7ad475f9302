package store

import (
	"database/sql"
	"fmt"
	"net/url"

	"github.com/pressly/goose/v3"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"github.com/uptrace/bun/schema"
	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// dialect is all that differs between databases. Statements elsewhere are the common subset
// of SQLite and PostgreSQL; column types that differ are named in the migrations by {{.Field}}.
type dialect struct {
	bun   func() schema.Dialect
	goose goose.Dialect
	// open returns the pool for writing and the pool for reading, which may be the same.
	open func(location string) (write, read *sql.DB, err error)
	// serial is the type of a primary key that the database counts up.
	serial string
	// blob is the type of a column of bytes.
	blob string
	// oneWriter is true when concurrent write transactions gain nothing.
	oneWriter bool
	// skipLocked follows a SELECT that claims a row.
	skipLocked string
}

func sqlite() dialect {
	return dialect{
		bun:       func() schema.Dialect { return sqlitedialect.New() },
		goose:     goose.DialectSQLite3,
		open:      openSQLite,
		serial:    "INTEGER PRIMARY KEY AUTOINCREMENT",
		blob:      "BLOB",
		oneWriter: true,
	}
}

// openSQLite opens the file at path. The journal is a WAL with synchronous=FULL: a commit that
// has returned survives a loss of power.
func openSQLite(path string) (write, read *sql.DB, err error) {
	dsn := func(extra ...string) string {
		q := url.Values{}
		for _, p := range append([]string{"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"}, extra...) {
			q.Add("_pragma", p)
		}
		q.Set("_txlock", "immediate")
		return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
	}
	write, err = sql.Open("sqlite", dsn())
	if err != nil {
		return nil, nil, fmt.Errorf("open database %s: %w", path, err)
	}
	write.SetMaxOpenConns(1)
	write.SetMaxIdleConns(1)
	read, err = sql.Open("sqlite", dsn("query_only(1)"))
	if err != nil {
		write.Close()
		return nil, nil, fmt.Errorf("open database %s for reading: %w", path, err)
	}
	read.SetMaxOpenConns(4)
	read.SetMaxIdleConns(4)
	return write, read, nil
}
