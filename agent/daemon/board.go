package daemon

import (
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"slipway.build/slipway/agent/conditions"
	"slipway.build/slipway/agent/footprint"
	"slipway.build/slipway/agent/join"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/signal"
	"slipway.build/slipway/units/drive"
)

// watched is what the sources of conditions, and checks that are asked for, look at.
type watched struct {
	root     string
	identity *join.Identity
	api      controlPlane
	memory   *journal.Journal
	systemd  drive.Driver
	current  *running
}

// board returns the board of the node's conditions with all sources on it.
func (w *watched) board(outbox *signal.Outbox, show *statusWriter, log *slog.Logger) *conditions.Board {
	board := conditions.New(show.now.Conditions, conditions.Audience{Show: show.conditions, Report: outbox.Observe, Looked: footprint.Drop}, log)
	board.Add(&conditions.Disk{Path: w.root})
	board.Add(&conditions.Memory{})
	board.Add(&conditions.Clock{Offset: w.offset})
	board.Add(&conditions.Expiry{Chains: w.chains, Now: time.Now})
	board.Add(&conditions.Units{Systemd: w.systemd, Wanted: w.current.units})
	board.Add(&conditions.Checks{List: w.current.checks, Now: time.Now})
	board.Add(&conditions.Outbox{Oldest: w.oldest, Now: time.Now})
	return board
}

func (w *watched) offset() conditions.Offset {
	ahead, within, at := w.api.Clock()
	return conditions.Offset{Ahead: ahead, Within: within, At: at, Elapsed: time.Since(at)}
}

// chains returns the node's own certificate and those of the plan.
func (w *watched) chains() (map[string][]byte, error) {
	p, err := w.current.plan()
	if err != nil {
		return nil, err
	}
	own, err := w.identity.Certificate()
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{"of the node": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Certificate[0]})}
	if p == nil {
		return out, nil
	}
	for _, certificate := range p.Certificates {
		if out[certificate.Name], err = os.ReadFile(filepath.Join(w.root, "pki", certificate.Name, "tls.crt")); err != nil {
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
