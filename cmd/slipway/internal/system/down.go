package system

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"slipway.build/slipway/cmd/slipway/internal/apiclient"
	"slipway.build/slipway/cmd/slipway/internal/watch"
)

// deleteLimit bounds how long Down waits for clusters to be deleted in an orderly way; the
// sweep removes what is left then.
const deleteLimit = 90 * time.Second

// Down deletes the clusters in an orderly way where slipwayd answers, stops slipwayd, sweeps
// what is left of the local cloud and removes the state directory. It ends a running
// `slipway up` first. It succeeds when nothing is there.
func (s *System) Down(ctx context.Context) error {
	claim, err := takeOver(ctx, s.Paths.State, 15*time.Second, s.Report.Note)
	if err != nil {
		return err
	}
	defer claim.release()
	steps := &steps{report: s.Report}
	// Whatever an earlier step meets, the sweep comes: it is what leaves nothing behind.
	ordered := steps.run(ctx, "delete clusters", func(ctx context.Context, say detail) (string, error) { return s.deleteClusters(ctx, say) })
	if ordered != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.Report.Note("%v; going on, the sweep removes what is left", ordered)
	}
	err = steps.run(ctx, "stop slipwayd", func(ctx context.Context, _ detail) (string, error) { return "", s.Daemon.Stop(ctx) })
	if err != nil {
		return err
	}
	err = steps.run(ctx, "sweep the local cloud", func(ctx context.Context, _ detail) (string, error) { return "", s.Cloud.Sweep(ctx) })
	if err != nil {
		return err
	}
	return steps.run(ctx, "remove the state", func(context.Context, detail) (string, error) {
		return s.Paths.State, removeState(s.Paths.State)
	})
}

// deleteClusters deletes all clusters and waits until they are gone, for a while.
func (s *System) deleteClusters(ctx context.Context, say detail) (string, error) {
	status, err := s.Daemon.Status()
	if err != nil {
		return "", err
	}
	if status.PID == 0 {
		return "slipwayd does not run", nil
	}
	ctx, cancel := context.WithTimeout(ctx, deleteLimit)
	defer cancel()
	clusters, err := s.Client.Clusters(ctx)
	if err != nil {
		return "", err
	}
	for _, c := range clusters {
		if err := s.Client.DeleteCluster(ctx, c.UUID); err != nil && !apiclient.IsNotFound(err) {
			return "", fmt.Errorf("cluster %s: %w", c.Name, err)
		}
	}
	w := watch.Watcher{API: s.Client, Report: s.Report, Patience: 5 * time.Second}
	for _, c := range clusters {
		say("waiting for %s", c.Name)
		if _, err := w.Until(ctx, c.UUID); err != nil && !errors.Is(err, watch.ErrGone) {
			return "", fmt.Errorf("cluster %s: %w", c.Name, err)
		}
	}
	return fmt.Sprintf("%d deleted", len(clusters)), nil
}

// removeState removes the state directory. It refuses while something is mounted below it:
// removing would go on into what is mounted.
func removeState(state string) error {
	abs, err := filepath.Abs(state)
	if err != nil {
		return err
	}
	if filepath.Dir(abs) == abs {
		return fmt.Errorf("refusing to remove %s", abs)
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 4 && strings.HasPrefix(fields[4]+"/", abs+"/") && fields[4] != abs {
			return fmt.Errorf("%s is still mounted; `umount %s` and run this again", fields[4], fields[4])
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return os.RemoveAll(abs)
}
