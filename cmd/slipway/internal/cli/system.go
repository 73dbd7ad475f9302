package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/daemon"
	"slipway.build/slipway/cmd/slipway/internal/images"
	"slipway.build/slipway/cmd/slipway/internal/localcloud"
	"slipway.build/slipway/cmd/slipway/internal/nodeos"
	"slipway.build/slipway/cmd/slipway/internal/progress"
	"slipway.build/slipway/cmd/slipway/internal/system"
	"slipway.build/slipway/cmd/slipway/internal/worktree"
)

// The addresses that slipwayd serves the nodes at: the host's own on the external network.
const (
	nodeListen     = "172.29.0.1:9512"
	registryListen = "172.29.0.1:5000"
)

// nodeImage is the name of the node OS image; the built-in templates of slipwayd name it too.
const nodeImage = "slipway-node"

// daemon describes the slipwayd of the state directory.
func (a *app) daemon(tree worktree.Tree) (*daemon.Daemon, error) {
	client, err := a.client()
	if err != nil {
		return nil, err
	}
	state, err := a.statePath()
	if err != nil {
		return nil, err
	}
	listen := strings.TrimPrefix(strings.TrimPrefix(client.Endpoint(), "http://"), "https://")
	return &daemon.Daemon{
		Binary: tree.Bin("slipwayd"),
		State:  state,
		Args:   []string{"--listen", listen, "--node-listen", nodeListen, "--registry-listen", registryListen},
		Inputs: []string{images.Paths{State: state}.Lock()},
		Log:    filepath.Join(state, "slipwayd.log"),
		Unit:   "slipwayd.service",
		Ready:  client.Ping,
	}, nil
}

// statePath is the state directory as an absolute path: slipwayd runs elsewhere.
func (a *app) statePath() (string, error) {
	state, err := filepath.Abs(a.state)
	if err != nil {
		return "", fmt.Errorf("state directory %s: %w", a.state, err)
	}
	return state, nil
}

// system puts the parts together that up, down and status drive.
func (a *app) system(source string, report progress.Reporter) (*system.System, error) {
	tree, err := worktree.Find(source)
	if err != nil {
		return nil, usageError{err}
	}
	d, err := a.daemon(tree)
	if err != nil {
		return nil, err
	}
	client, err := a.client()
	if err != nil {
		return nil, err
	}
	paths := images.Paths{State: d.State}
	cloud := localcloud.New(d.State)
	return &system.System{
		Tree: tree, Paths: paths, Client: client, Daemon: d, Cloud: cloud, Report: report,
		OS: &nodeos.Builder{Paths: paths, Agent: tree.Bin("slipway-agent"), ImportTool: tree.Bin("slipway-import"), Exec: tree.Bin("slipway-exec"),
			Verifier: tree.Bin("slipway-image-verifier"), Name: nodeImage, Registry: cloud},
	}, nil
}

func (a *app) upCommand() *cobra.Command {
	var source string
	var o system.UpOptions
	cmd := &cobra.Command{
		Use: "up", Short: "Bring the whole system up on this machine and create a cluster",
		Long: `Build what is missing (component images, base tree, OS layer), start slipwayd and create the
cluster of the request, then follow it until it is complete. Run it again at any time: it does
what is missing and nothing twice.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report := a.reporter()
			s, err := a.system(source, report)
			if err != nil {
				report.Close()
				return err
			}
			if o.Request == "" {
				o.Request = s.Tree.Example()
			}
			result, err := s.Up(cmd.Context(), o)
			report.Close()
			if err != nil {
				return err
			}
			return a.printUp(result)
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "clone of slipway (default: the one around the working directory or the executable)")
	cmd.Flags().StringVarP(&o.Request, "file", "f", "", "create request (default: examples/cluster-create.json of the clone)")
	cmd.Flags().IntVar(&o.Masters, "masters", -1, "number of masters, instead of the request's")
	cmd.Flags().BoolVar(&o.NoCluster, "no-cluster", false, "stop once slipwayd answers, without a cluster")
	cmd.Flags().IntVar(&o.Nodes, "nodes", -1, "number of workers, instead of the request's")
	return cmd
}

// printUp writes what up has reached: phases, nodes and what to do next.
func (a *app) printUp(r *system.Result) error {
	if r.Cluster == nil {
		if a.json() {
			return a.printLine(map[string]any{"phases": r.Phases})
		}
		fmt.Fprintf(a.Out, "slipwayd answers at %s.\n", a.endpoint)
		return nil
	}
	if a.json() {
		return a.printLine(map[string]any{"cluster": r.Cluster.Raw, "phases": r.Phases, "kubeconfig": r.Kubeconfig})
	}
	var rows [][]string
	for _, p := range r.Phases {
		rows = append(rows, []string{p.Name, fmt.Sprintf("%.1f", p.Seconds), p.Result})
	}
	fmt.Fprintln(a.Out)
	table(a.Out, []string{"PHASE", "SECONDS", "RESULT"}, rows)
	fmt.Fprintf(a.Out, "\n%s\nKubeconfig: %s\nTry:\n", r.Nodes, r.Kubeconfig)
	for _, c := range []string{
		r.Kubectl + " --kubeconfig " + r.Kubeconfig + " get pods -A -o wide",
		"bin/slipway cluster events " + r.Cluster.Name,
		"bin/slipway cluster graph " + r.Cluster.Name,
	} {
		fmt.Fprintln(a.Out, "  "+c)
	}
	return nil
}

func (a *app) downCommand() *cobra.Command {
	var source string
	cmd := &cobra.Command{
		Use: "down", Short: "Delete all clusters and everything that up made, but not the build cache",
		Long: `Delete the clusters through the API where slipwayd answers, stop slipwayd, sweep what is left
of the local cloud and remove the state directory. It works in the middle of anything and as
often as you like.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report := a.reporter()
			defer report.Close()
			s, err := a.system(source, report)
			if err != nil {
				return err
			}
			return s.Down(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "clone of slipway (default: the one around the working directory or the executable)")
	return cmd
}

// status is what `slipway status -o json` writes.
type status struct {
	State    string              `json:"state"`
	Slipwayd daemonStatus        `json:"slipwayd"`
	Clusters []clusterStatus     `json:"clusters"`
	Servers  []localcloud.Server `json:"servers"`
}

type daemonStatus struct {
	PID      int    `json:"pid"` // 0 when it does not run
	Answers  bool   `json:"answers"`
	Current  bool   `json:"current"` // runs the program that is in bin/
	Endpoint string `json:"endpoint"`
	Log      string `json:"log"`
}

type clusterStatus struct {
	Name       string `json:"name"`
	Status     string `json:"status"`
	Reason     string `json:"reason,omitempty"`
	APIAddress string `json:"api_address,omitempty"`
	Masters    int    `json:"masters"`
	Nodes      int    `json:"nodes"`
}

func (a *app) statusCommand() *cobra.Command {
	var source string
	cmd := &cobra.Command{
		Use: "status", Short: "Say what runs on this machine", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.system(source, nil)
			if err != nil {
				return err
			}
			now, err := s.Daemon.Status()
			if err != nil {
				return err
			}
			out := status{State: s.Paths.State, Clusters: []clusterStatus{}, Slipwayd: daemonStatus{
				PID: now.PID, Current: now.Current, Endpoint: s.Client.Endpoint(), Log: s.Daemon.Log}}
			var problems []error
			if now.PID != 0 {
				clusters, err := s.Client.Clusters(cmd.Context())
				if err != nil {
					problems = append(problems, err)
				}
				out.Slipwayd.Answers = err == nil
				for _, c := range clusters {
					out.Clusters = append(out.Clusters, clusterStatus{c.Name, c.Status, c.StatusReason, c.APIAddress, c.MasterCount, c.NodeCount})
				}
			}
			servers, err := localcloud.New(s.Paths.State).Servers(cmd.Context())
			if err != nil {
				problems = append(problems, err)
			}
			out.Servers = servers
			if err := a.printStatus(out); err != nil {
				return err
			}
			return errors.Join(problems...)
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "clone of slipway (default: the one around the working directory or the executable)")
	return cmd
}

func (a *app) printStatus(s status) error {
	if a.json() {
		return a.printJSON(s)
	}
	switch {
	case s.Slipwayd.PID == 0:
		fmt.Fprintln(a.Out, "slipwayd does not run; `slipway up` starts it.")
	case s.Slipwayd.Current:
		fmt.Fprintf(a.Out, "slipwayd runs (process %d) at %s, log %s.\n", s.Slipwayd.PID, s.Slipwayd.Endpoint, s.Slipwayd.Log)
	default:
		fmt.Fprintf(a.Out, "slipwayd runs (process %d) at %s, but another program or other flags than bin/slipwayd now; `slipway up` replaces it.\n", s.Slipwayd.PID, s.Slipwayd.Endpoint)
	}
	if len(s.Clusters) > 0 {
		var rows [][]string
		for _, c := range s.Clusters {
			rows = append(rows, []string{c.Name, c.Status, fmt.Sprint(c.Masters), fmt.Sprint(c.Nodes), c.APIAddress, oneLine(c.Reason)})
		}
		fmt.Fprintln(a.Out)
		table(a.Out, []string{"CLUSTER", "STATUS", "MASTERS", "NODES", "API", "REASON"}, rows)
	}
	if len(s.Servers) > 0 {
		fmt.Fprintln(a.Out)
		a.serverTable(s.Servers)
	}
	return nil
}
