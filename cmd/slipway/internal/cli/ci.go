package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/ci/report"
	"slipway.build/slipway/ci/stages"
	"slipway.build/slipway/cmd/slipway/internal/progress"
	"slipway.build/slipway/cmd/slipway/internal/worktree"
	"slipway.build/slipway/imagebuild/buildcache"
)

// ciOptions are the flags of the pipeline's commands.
type ciOptions struct {
	source, report, against string
	list, strict            bool
	stages                  stages.Config
	run                     pipeline.Options
}

func (a *app) ciCommand() *cobra.Command {
	return group("ci", "Build everything, prove it, and publish it if all held", a.ciRun(), a.ciList())
}

func (a *app) ciRun() *cobra.Command {
	var o ciOptions
	cmd := &cobra.Command{
		Use: "run", Short: "Run the stages that are not cached, and write the report", Args: cobra.NoArgs,
		Long: `Run the pipeline: build, gate, sign, scan, boot a cluster from exactly what was built, test it, and
publish if all held. A stage whose inputs are as they were is not run again; a run that was
killed goes on where it was. The report is one HTML page and the same as JSON.

Exit code 1 means that a stage failed. A stage that could not be done here (no database of
vulnerabilities, no root for a cluster) is unproven: nothing that depends on its proof is done, and
with --strict it counts as failed.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.list {
				return a.ciPrintPlan(cmd, &o)
			}
			return a.ciExecute(cmd, &o)
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&o.list, "list", false, "run nothing, show the stages and what is cached")
	cmd.Flags().BoolVar(&o.strict, "strict", false, "let a stage that could not be done fail the run")
	cmd.Flags().StringSliceVar(&o.run.Only, "only", nil, "run these stages and what they need")
	cmd.Flags().StringSliceVar(&o.run.From, "from", nil, "run these stages and all after them again, cached or not")
	cmd.Flags().IntVar(&o.run.Slots, "slots", 0, "stages at work at the same time (default: one for each processor, two at least)")
	cmd.Flags().DurationVar(&o.run.Keep, "keep", pipeline.DefaultKeep, "how long results that no run uses stay in the cache; negative: for ever")
	cmd.Flags().StringVar(&o.report, "report", "", "directory for report.html and report.json (default: bin/ci of the clone)")
	cmd.Flags().StringVar(&o.against, "against", "", "a report.json, or a lock, to compare sizes with (default: the report of before)")
	return cmd
}

func (a *app) ciList() *cobra.Command {
	var o ciOptions
	cmd := &cobra.Command{
		Use: "list", Short: "Show the stages, what each needs, and what is cached", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.ciPrintPlan(cmd, &o) },
	}
	o.flags(cmd)
	return cmd
}

// flags are those that decide what the stages work on.
func (o *ciOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.source, "source", "", "clone of slipway (default: the one around the working directory or the executable)")
	f.StringSliceVar(&o.stages.Images, "image", nil, "images to build (default: what one cluster needs)")
	f.BoolVar(&o.stages.All, "all", false, "build all images, for all platforms and in all forms, as a release has them")
	f.StringVar(&o.stages.Database, "vulndb", "", "vulnerability database, a directory or a URL (default: the Go project's)")
	f.StringVar(&o.stages.Key, "key", "", "release key that signs (default: a local key, named as such)")
	f.StringVar(&o.stages.Publish, "publish", "", "where to publish if all held: oci:DIRECTORY or a registry's HOST/PATH")
	f.StringVar(&o.stages.From, "from-lock", "", "the lock that clusters are on, to check the step from there to images.yaml too")
	f.BoolVar(&o.stages.Unscanned, "unscanned", false, "publish also what could not be scanned for vulnerabilities")
	f.StringVar(&o.stages.State, "cluster-state", stages.DefaultState, "state directory of the cluster that is booted")
}

// graph completes the options and makes the pipeline.
func (a *app) graph(o *ciOptions) (*pipeline.Graph, error) {
	tree, err := worktree.Find(o.source)
	if err != nil {
		return nil, usageError{err}
	}
	o.stages.Root, o.stages.Now = tree.Root, a.Now
	o.run.Cache, o.run.Now = filepath.Join(buildcache.Dir(), "ci"), a.Now
	o.stages.Keys = filepath.Join(o.run.Cache, "keys")
	if o.report == "" {
		o.report = tree.Bin("ci")
	}
	g, err := stages.New(o.stages)
	if err != nil {
		return nil, usageError{err}
	}
	for _, names := range [][]string{o.run.Only, o.run.From} {
		if err := g.Known(names); err != nil {
			return nil, usageError{err}
		}
	}
	return g, nil
}

func (a *app) ciExecute(cmd *cobra.Command, o *ciOptions) error {
	g, err := a.graph(o)
	if err != nil {
		return err
	}
	before, err := report.Baseline(o.report, o.against)
	if err != nil {
		return usageError{err}
	}
	out := a.reporter()
	o.run.Report = func(e pipeline.Event) { showStage(out, e) }
	result, interrupted := g.Run(cmd.Context(), o.run)
	out.Close()
	if result == nil {
		return interrupted
	}
	r, err := report.New(result, before, report.Tail)
	if err != nil {
		return err
	}
	files, err := r.Write(o.report)
	if err != nil {
		return err
	}
	if err := a.printOutcome(r, files); err != nil {
		return err
	}
	if text := result.Pruned.String(); text != "" && !a.json() {
		fmt.Fprintf(a.Out, "%s%s.\n", strings.ToUpper(text[:1]), text[1:])
	}
	if interrupted != nil {
		return interrupted
	}
	if err := result.Err(); err != nil {
		return err
	}
	if o.strict && !result.Held() {
		return fmt.Errorf("%s, and --strict was asked for", strings.ToLower(r.Title()[:1])+r.Title()[1:])
	}
	return nil
}

// showStage shows an event of the pipeline as a task.
func showStage(out progress.Reporter, e pipeline.Event) {
	u := progress.Update{Task: "stage/" + e.Stage, Label: "stage " + e.Stage, State: progress.Running, Detail: e.Detail, Done: e.Done, Total: e.Total}
	switch e.State {
	case pipeline.Queued:
		return // it would only fill the screen
	case pipeline.Waiting:
		if u.Detail == "" {
			u.Detail = "waits for a slot"
		}
	case pipeline.Done:
		u.State = progress.Done
	case pipeline.Cached:
		u.State, u.Detail = progress.Skipped, "held before, with the same inputs"
	case pipeline.Failed:
		u.State = progress.Failed
	case pipeline.Blocked:
		u.State, u.Detail = progress.Skipped, "not done "+e.Detail
	case pipeline.Unproven:
		u.State, u.Detail = progress.Skipped, "unproven: "+e.Detail
	}
	out.Report(u)
}

func (a *app) printOutcome(r *report.Report, files []string) error {
	if a.json() {
		return a.printLine(map[string]any{"outcome": r.Outcome, "causes": r.Causes, "report": files})
	}
	fmt.Fprintf(a.Out, "%s. The report: %s\n", r.Title(), strings.Join(files, ", "))
	for _, c := range r.Causes {
		if c.State == pipeline.Unproven {
			fmt.Fprintf(a.Out, "Unproven: %s: %s\n", c.Stage, c.Reason)
		}
	}
	return nil
}

func (a *app) ciPrintPlan(cmd *cobra.Command, o *ciOptions) error {
	g, err := a.graph(o)
	if err != nil {
		return err
	}
	plans, err := g.Plan(cmd.Context(), o.run)
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(plans)
	}
	var rows [][]string
	for _, p := range plans {
		now := "to be run"
		switch {
		case p.Problem != "":
			now = "cannot be run: " + p.Problem
		case p.Volatile:
			now = "every time"
		case p.Cached:
			now = "cached"
		case len(p.Open) > 0:
			now = "after " + strings.Join(p.Open, ", ")
		}
		rows = append(rows, []string{p.Name, now, strings.Join(p.After, ", "), p.Title})
	}
	table(a.Out, []string{"STAGE", "NOW", "NEEDS", "WHAT"}, rows)
	return nil
}
