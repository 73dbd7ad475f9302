package cli

import (
	"context"
	"errors"
	"fmt"

	"slipway.build/slipway/cmd/slipway/internal/apiclient"
	"slipway.build/slipway/cmd/slipway/internal/watch"
)

// waitCreated shows the creation of a cluster until it has ended.
func (a *app) waitCreated(ctx context.Context, client *apiclient.Client, uuid string) error {
	report := a.reporter()
	w := watch.Watcher{API: client, Report: report}
	cluster, err := w.Until(ctx, uuid)
	report.Close()
	if err != nil {
		return fmt.Errorf("%w (`slipway cluster events %s` has the whole history)", err, uuid)
	}
	if !a.json() {
		fmt.Fprintf(a.Out, "Cluster %s (%s) is %s; its API is %s.\n", cluster.Name, cluster.UUID, cluster.Status, cluster.APIAddress)
		return nil
	}
	return a.printLine(map[string]any{"cluster": cluster.Raw})
}

// waitDeleted shows the deletion of clusters until all of them are gone.
func (a *app) waitDeleted(ctx context.Context, client *apiclient.Client, uuids []string) error {
	report := a.reporter()
	defer report.Close()
	var problems []error
	for _, uuid := range uuids {
		w := watch.Watcher{API: client, Report: report}
		cluster, err := w.Until(ctx, uuid)
		switch {
		case errors.Is(err, watch.ErrGone):
			report.Note("Cluster %s is gone.", uuid)
		case err != nil:
			problems = append(problems, err)
		case cluster.Status != "DELETE_COMPLETE":
			problems = append(problems, fmt.Errorf("cluster %s is %s, although its deletion was accepted", uuid, cluster.Status))
		}
	}
	return errors.Join(problems...)
}
