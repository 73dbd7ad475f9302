package store

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"testing/fstest"
	"text/template"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema to this program's version. The files are goose's, with the column
// types of the dialect filled in.
func migrate(ctx context.Context, d dialect, db *sql.DB) error {
	rendered, err := renderMigrations(d)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(d.goose, db, rendered)
	if err != nil {
		return fmt.Errorf("read database migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate database: %w", err)
	}
	return nil
}

func renderMigrations(d dialect) (fs.FS, error) {
	out := fstest.MapFS{}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		t, err := template.New(name).Parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", name, err)
		}
		var b bytes.Buffer
		if err := t.Execute(&b, struct{ Serial, Blob string }{d.serial, d.blob}); err != nil {
			return nil, fmt.Errorf("migration %s: %w", name, err)
		}
		out[path.Base(name)] = &fstest.MapFile{Data: b.Bytes(), Mode: 0o444}
	}
	return out, nil
}
