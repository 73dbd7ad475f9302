package scan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// DefaultDatabase is the Go project's vulnerability database.
const DefaultDatabase = "https://vuln.go.dev"

// reachable bounds how long a database on the network may take to answer.
const reachable = 20 * time.Second

// maxIndex bounds the bytes of an index file; the real one of modules has about 1 MB.
const maxIndex = 64 << 20

// Database is a vulnerability database in the format of https://go.dev/security/vuln/database, as
// far as it was looked at.
type Database struct {
	URL      string    `json:"url"` // https://… or file://…
	Modified time.Time `json:"modified"`
	Modules  int       `json:"modules"` // that it knows vulnerabilities of
}

// ErrNoDatabase says that there is no database to scan with; nothing was scanned then.
var ErrNoDatabase = errors.New("no vulnerability database")

// Open looks at the database in a directory or at a URL. A directory without an index is refused:
// govulncheck would take it for a database that knows of nothing.
func Open(ctx context.Context, source string) (*Database, error) {
	u, err := url.Parse(source)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoDatabase, err)
	}
	read := overHTTP(strings.TrimRight(source, "/"))
	switch u.Scheme {
	case "http", "https":
	case "file", "":
		dir, err := filepath.Abs(u.Path)
		if err != nil {
			return nil, err
		}
		source, read = (&url.URL{Scheme: "file", Path: dir}).String(), inDirectory(dir)
	default:
		return nil, fmt.Errorf("%w: %s is neither a directory nor an http, https or file URL", ErrNoDatabase, source)
	}
	db := &Database{URL: strings.TrimRight(source, "/")}
	var meta struct {
		Modified time.Time `json:"modified"`
	}
	var modules []struct {
		Path  string `json:"path"`
		Vulns []struct {
			ID string `json:"id"`
		} `json:"vulns"`
	}
	for _, index := range []struct {
		name string
		into any
	}{{"index/db.json", &meta}, {"index/modules.json", &modules}} {
		text, err := read(ctx, index.name)
		if err == nil {
			err = json.Unmarshal(text, index.into)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %s: %w", ErrNoDatabase, db.URL, index.name, err)
		}
	}
	for _, m := range modules {
		if m.Path == "" || len(m.Vulns) == 0 {
			return nil, fmt.Errorf("%w: %s: index/modules.json: an entry names no module or no vulnerability", ErrNoDatabase, db.URL)
		}
	}
	if len(modules) == 0 || meta.Modified.IsZero() {
		return nil, fmt.Errorf("%w: %s has an empty index", ErrNoDatabase, db.URL)
	}
	db.Modified, db.Modules = meta.Modified.UTC(), len(modules)
	return db, nil
}

func inDirectory(dir string) func(context.Context, string) ([]byte, error) {
	return func(_ context.Context, name string) ([]byte, error) {
		f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return bounded(f)
	}
}

func overHTTP(base string) func(context.Context, string) ([]byte, error) {
	return func(ctx context.Context, name string) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, reachable)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/"+name, nil)
		if err != nil {
			return nil, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("the server answers %s", resp.Status)
		}
		return bounded(resp.Body)
	}
}

func bounded(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxIndex+1))
	if err == nil && len(text) > maxIndex {
		err = fmt.Errorf("it has more than %d bytes", maxIndex)
	}
	return text, err
}
