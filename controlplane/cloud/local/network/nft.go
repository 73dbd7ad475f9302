package network

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"syscall"

	"slipway.build/slipway/controlplane/cloud/local/network/namespace"
)

// nft gives a ruleset to the kernel as one transaction, in the named namespace or, with an empty
// name, on the host.
func (n *Network) nft(ctx context.Context, netns, rules string) error {
	run := func() error {
		cmd := exec.CommandContext(ctx, n.NFT, "-f", "-")
		cmd.Stdin = strings.NewReader(rules)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		// An nft that outlived us could undo what our successor sets.
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("nft: %w: %s", err, firstLine(out.String()))
		}
		return nil
	}
	if netns == "" {
		return run()
	}
	return namespace.Do(netns, run)
}

// apply gives the ruleset to the namespace unless it was the last one given.
func (n *Network) apply(ctx context.Context, netns, rules string) error {
	n.mu.Lock()
	same := n.applied[netns] == rules
	n.mu.Unlock()
	if same {
		return nil
	}
	if err := n.nft(ctx, netns, rules); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.applied[netns] = rules
	return nil
}

// forget makes the next apply in that namespace happen in any case.
func (n *Network) forget(netns string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.applied, netns)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
