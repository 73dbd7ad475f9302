package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sync/errgroup"

	"slipway.build/slipway/cmd/slipway/internal/apiclient"
	"slipway.build/slipway/cmd/slipway/internal/images"
	"slipway.build/slipway/cmd/slipway/internal/kubeconfig"
	"slipway.build/slipway/cmd/slipway/internal/prerequisites"
	"slipway.build/slipway/cmd/slipway/internal/watch"
	"slipway.build/slipway/imagebuild/component"
)

// UpOptions say which cluster Up is to make.
type UpOptions struct {
	Request string // file with the create request
	Masters int    // replaces its master_count, unless negative
	Nodes   int    // replaces its node_count, unless negative
	// NoCluster stops once slipwayd answers.
	NoCluster bool
}

// Result is what Up has reached.
type Result struct {
	Cluster    *apiclient.Cluster // nil without one
	Phases     []Phase
	Kubeconfig string
	Nodes      string // what kubectl says about the nodes
	Kubectl    string
}

// Up does what is missing between a fresh clone and a running cluster.
func (s *System) Up(ctx context.Context, o UpOptions) (*Result, error) {
	req, err := readRequest(o.Request, o.Masters, o.Nodes)
	if err != nil {
		return nil, err
	}
	if err := prerequisites.Check(prerequisites.ThisHost(), prerequisites.Programs()); err != nil {
		return nil, err
	}
	claim, err := take(s.Paths.State)
	if err != nil {
		return nil, err
	}
	defer claim.release()
	steps := &steps{report: s.Report}
	if err := s.prepare(ctx, steps); err != nil {
		return nil, err
	}
	if o.NoCluster {
		return &Result{Phases: steps.phases}, nil
	}
	begun := time.Now()
	cluster, err := s.cluster(ctx, req)
	if err != nil {
		return nil, err
	}
	steps.add(Phase{Name: "cluster " + cluster.Name, Seconds: time.Since(begun).Seconds(), Result: cluster.Status})
	result := &Result{Cluster: cluster, Kubectl: s.Tree.Bin("kubectl"), Kubeconfig: s.KubeconfigPath(cluster.Name)}
	err = steps.run(ctx, "kubeconfig", func(ctx context.Context, _ detail) (string, error) {
		result.Nodes, err = s.kubeconfig(ctx, cluster, result)
		return result.Kubeconfig, err
	})
	result.Phases = steps.phases
	return result, err
}

// prepare does everything up to a slipwayd that answers.
func (s *System) prepare(ctx context.Context, steps *steps) error {
	// The base tree mostly waits for the network, the images for the processor.
	var built []component.Built
	both, bothCtx := errgroup.WithContext(ctx)
	both.Go(func() error {
		return steps.run(bothCtx, "component images", func(ctx context.Context, _ detail) (string, error) {
			var err error
			if built, err = images.Build(ctx, s.Report, s.Tree.Sources(), component.ClusterImages()...); err != nil {
				return "", err
			}
			return s.publish(built)
		})
	})
	both.Go(func() error {
		return steps.run(bothCtx, "base tree", func(ctx context.Context, say detail) (string, error) { return s.OS.Base(ctx, say) })
	})
	if err := both.Wait(); err != nil {
		return err
	}
	err := steps.run(ctx, "OS layer", func(ctx context.Context, say detail) (string, error) { return s.OS.Layer(ctx, say) })
	if err != nil {
		return err
	}
	err = steps.run(ctx, "network", func(ctx context.Context, _ detail) (string, error) { return "", s.Cloud.Prepare(ctx) })
	if err != nil {
		return err
	}
	return steps.run(ctx, "control plane", func(ctx context.Context, _ detail) (string, error) {
		started, err := s.Daemon.Start(ctx)
		if err != nil {
			return "", err
		}
		what := "slipwayd runs already"
		if started {
			what = "slipwayd started"
		}
		return fmt.Sprintf("%s, %s, log %s", what, s.Client.Endpoint(), s.Daemon.Log), nil
	})
}

// publish checks the images against the committed lock, signs it and puts both where the
// registry and the OS layer take them from.
func (s *System) publish(built []component.Built) (string, error) {
	lock, err := images.Check(s.Tree.Lock(), built)
	if err != nil {
		return "", err
	}
	digest, key, err := images.Publish(s.Paths, built, lock)
	if err != nil {
		return "", err
	}
	if err := component.Extract(built, "kubectl", s.Tree.Bin("kubectl")); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d images, as %s says; lock %.19s… signed by the local key %.12s", len(built), filepath.Base(s.Tree.Lock()), digest, key), nil
}

// cluster finds or makes the cluster and follows it until it is complete.
func (s *System) cluster(ctx context.Context, req *request) (*apiclient.Cluster, error) {
	w := watch.Watcher{API: s.Client, Report: s.Report}
	for {
		c, err := s.Client.Cluster(ctx, req.name)
		if apiclient.IsNotFound(err) {
			uuid, err := s.Client.CreateCluster(ctx, req.body)
			if err != nil {
				return nil, fmt.Errorf("create cluster %s: %w", req.name, err)
			}
			return w.Until(ctx, uuid)
		}
		if err != nil {
			return nil, err
		}
		if c.Status == "CREATE_FAILED" || c.Status == "DELETE_FAILED" {
			s.Report.Note("Cluster %s is %s (%s); deleting it and trying again.", c.Name, c.Status, c.StatusReason)
			if err := s.Client.DeleteCluster(ctx, c.UUID); err != nil {
				return nil, fmt.Errorf("delete the failed cluster %s: %w", c.Name, err)
			}
			c.Status = "DELETE_IN_PROGRESS"
		}
		if strings.HasPrefix(c.Status, "DELETE_") {
			_, err := w.Until(ctx, c.UUID)
			if err != nil && !errors.Is(err, watch.ErrGone) {
				return nil, err
			}
			continue
		}
		if c.MasterCount != req.masters || c.NodeCount != req.nodes {
			return nil, fmt.Errorf("cluster %s exists with %d masters and %d workers, not %d and %d: delete it first with `slipway cluster delete %s --wait`",
				c.Name, c.MasterCount, c.NodeCount, req.masters, req.nodes, c.Name)
		}
		return w.Until(ctx, c.UUID)
	}
}

// kubeconfig makes the kubeconfig, unless there is one that works, and returns what kubectl
// says about the nodes.
func (s *System) kubeconfig(ctx context.Context, c *apiclient.Cluster, r *Result) (string, error) {
	if _, err := os.Stat(r.Kubeconfig); err == nil {
		if nodes, err := nodes(ctx, r); err == nil {
			return nodes, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	text, err := kubeconfig.New(ctx, s.Client, c, kubeconfig.P256)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(r.Kubeconfig), 0o700); err != nil {
		return "", err
	}
	if err := renameio.WriteFile(r.Kubeconfig, text, 0o600); err != nil {
		return "", err
	}
	return nodes(ctx, r)
}

func nodes(ctx context.Context, r *Result) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.Kubectl, "--kubeconfig", r.Kubeconfig, "get", "nodes")
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("ask the cluster for its nodes: %w: %s", err, strings.TrimSpace(problems.String()))
	}
	return out.String(), nil
}
