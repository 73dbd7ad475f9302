package daemon

import (
	"log/slog"

	"slipway.build/slipway/agent/conditions"
	"slipway.build/slipway/agent/signal"
)

// board returns the board of the node's conditions with all sources on it.
func (c Config) board(outbox *signal.Outbox, show *statusWriter, log *slog.Logger) *conditions.Board {
	board := conditions.New(show.now.Conditions, conditions.Audience{Show: show.conditions, Report: outbox.Observe}, log)
	board.Add(&conditions.Disk{Path: c.Root})
	return board
}
