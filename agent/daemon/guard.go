package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/user"
	"path/filepath"
	"strconv"

	"slipway.build/slipway/agent/apply"
	"slipway.build/slipway/agent/drift"
	"slipway.build/slipway/agent/footprint"
	"slipway.build/slipway/agent/pull"
)

// guard returns who guards the current generation against changes that no plan asked for.
func (c Config) guard(a *apply.Applier, board drift.Board, log *slog.Logger) *drift.Guard {
	return &drift.Guard{
		Generations: a.Generations, Journal: a.Journal, Trust: a.Trust, Systemd: a.Systemd, Turn: a.Turn,
		Pull: func(ctx context.Context, wants []pull.Want, registries []string) error {
			return a.Puller.Pull(ctx, wants, registries, nil)
		},
		PKI: filepath.Join(c.Root, "pki"), Secrets: a.Secrets.Dir, Owner: uidOf,
		Shown: c.Shown, Board: board, Looked: footprint.Drop, Now: c.now(), Log: log,
	}
}

// shown are the directories in which systemd finds units on a node, the generators' first; the
// others come before it.
func shown() []string {
	return []string{"/run/systemd/generator", "/etc/systemd/system", "/run/systemd/system"}
}

func uidOf(name string) (int, error) {
	account, err := user.Lookup(name)
	if err != nil {
		return 0, err
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return 0, errors.Join(fmt.Errorf("user %s has no number", name), err)
	}
	return uid, nil
}
