package daemon

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"slipway.build/slipway/agent/conditions"
	"slipway.build/slipway/agent/footprint"
	"slipway.build/slipway/agent/join"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/signal"
	"slipway.build/slipway/units/drive"
)

// watched is what the sources of conditions look at.
type watched struct {
	root     string
	identity *join.Identity
	api      controlPlane
	memory   *journal.Journal
	systemd  drive.Driver

	// What the current generation wants watched, kept small: plans are large.
	link         string // that current was when it was read
	units        []string
	certificates []string
	checks       []plan.Check
}

// board returns the board of the node's conditions with all sources on it.
func (w *watched) board(outbox *signal.Outbox, show *statusWriter, log *slog.Logger) *conditions.Board {
	board := conditions.New(show.now.Conditions, conditions.Audience{Show: show.conditions, Report: outbox.Observe, Looked: footprint.Drop}, log)
	board.Add(&conditions.Disk{Path: w.root})
	board.Add(&conditions.Memory{})
	board.Add(&conditions.Clock{Offset: w.offset})
	board.Add(&conditions.Expiry{Chains: w.chains, Now: time.Now})
	board.Add(&conditions.Units{Systemd: w.systemd, Wanted: func() ([]string, error) { err := w.read(); return w.units, err }})
	board.Add(&conditions.Checks{List: func() ([]plan.Check, error) { err := w.read(); return w.checks, err }, Now: time.Now})
	board.Add(&conditions.Outbox{Oldest: w.oldest, Now: time.Now})
	return board
}

// read looks at the current generation's plan, when it is another one than before. Only the
// board's goroutine calls it.
func (w *watched) read() error {
	current := filepath.Join(w.root, "current")
	link, err := os.Readlink(current)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || link == w.link {
		return err
	}
	raw, err := os.ReadFile(filepath.Join(current, "plan.json"))
	if err != nil {
		return fmt.Errorf("read what to watch: %w", err)
	}
	p, err := plan.Parse(raw)
	if err != nil {
		return fmt.Errorf("read what to watch: %w", err)
	}
	w.link, w.units, w.certificates, w.checks = link, nil, nil, p.Checks
	for _, unit := range p.Units {
		if unit.Start {
			w.units = append(w.units, unit.Name)
		}
	}
	for _, certificate := range p.Certificates {
		w.certificates = append(w.certificates, certificate.Name)
	}
	return nil
}

func (w *watched) offset() conditions.Offset {
	ahead, within, at := w.api.Clock()
	return conditions.Offset{Ahead: ahead, Within: within, At: at, Elapsed: time.Since(at)}
}

// chains returns the node's own certificate and those of the plan.
func (w *watched) chains() (map[string][]byte, error) {
	if err := w.read(); err != nil {
		return nil, err
	}
	own, err := w.identity.Certificate()
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{"of the node": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Certificate[0]})}
	for _, name := range w.certificates {
		if out[name], err = os.ReadFile(filepath.Join(w.root, "pki", name, "tls.crt")); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (w *watched) oldest() (time.Time, error) {
	queued, err := w.memory.Queue(1)
	if err != nil || len(queued) == 0 {
		return time.Time{}, err
	}
	return queued[0].Signal.Time, nil
}
