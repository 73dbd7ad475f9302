// Command agent measures Slipway's agent beside Debian's python3-os-collect-config, on this
// machine and in one run: memory of the whole tree, processor time at rest, start to first
// request, reaction to changes, size on disk. Ours is a real agent on a real systemd in a
// container, with the seven components and the checks of a master (agent/integration); theirs
// polls metadata of a local server and runs a command when they change, with its defaults.
// It prints a table, and as its last lines `ratio <what> <theirs / ours>`.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// ours is what agent/integration reports: times in seconds, memory in KiB.
type ours struct {
	Agent, Anonymous              int
	Supervisors                   []int
	Idle, Processor, AgentAlone   float64
	Start, Reaction, Effect, Done []float64
}

func main() {
	idle := flag.Duration("idle", time.Minute, "how long each is watched at rest")
	changes := flag.Int("changes", 20, "changes to our agent's plan")
	theirs := flag.Int("their-changes", 12, "changes to their metadata, evenly spread over their polling interval")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bench(ctx, *idle, *changes, *theirs); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, idle time.Duration, changes, theirChanges int) error {
	dir, err := os.MkdirTemp("", "slipt-bench-agent-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	fmt.Printf("ours: an agent with a master's seven components, %v at rest, %d changes\n", idle, changes)
	us, err := measureOurs(ctx, filepath.Join(dir, "ours.json"), idle, changes)
	if err != nil {
		return fmt.Errorf("our agent: %w", err)
	}
	fmt.Printf("theirs: os-collect-config, %v at rest, %d changes\n", idle, theirChanges)
	them, err := measureTheirs(ctx, dir, idle, theirChanges)
	if err != nil {
		return fmt.Errorf("os-collect-config: %w", err)
	}
	disk, err := ourDisk()
	if err != nil {
		return err
	}
	report(os.Stdout, us, them, disk)
	return nil
}

// measureOurs has the integration test of the agent's footprint measure for as long as asked.
func measureOurs(ctx context.Context, file string, idle time.Duration, changes int) (*ours, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-timeout=40m", "-run=^TestAnAgentAtRestIsSmall$", "./agent/integration", "-args",
		"-footprint-report="+file, "-footprint-idle="+idle.String(), fmt.Sprintf("-footprint-changes=%d", changes))
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	us := new(ours)
	return us, json.Unmarshal(raw, us)
}

// ourDisk is the size of what the OS layer brings for the agent's work.
func ourDisk() (bytes int64, err error) {
	for _, name := range []string{"slipway-agent", "slipway-exec", "slipway-import"} {
		info, err := os.Stat(filepath.Join("bin", name))
		if err != nil {
			return 0, fmt.Errorf("%w (make build)", err)
		}
		bytes += info.Size()
	}
	return bytes, nil
}
