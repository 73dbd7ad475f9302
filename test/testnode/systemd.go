package testnode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"
)

// Systemd connects to the container's systemd by its private socket, as the agent in it does. It
// waits until the socket is there.
func (n *Node) Systemd(ctx context.Context) (*dbus.Conn, error) {
	for {
		conn, err := dbus.NewConnection(func() (*godbus.Conn, error) { return n.dial() })
		if err == nil {
			return conn, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("connect to the node's systemd: %w", errors.Join(ctx.Err(), err))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// dial connects through a process in the container's pid name space: systemd refuses peers that it
// cannot see.
func (n *Node) dial() (*godbus.Conn, error) {
	leader := n.Leader()
	if leader == 0 {
		return nil, errors.New("the container does not run")
	}
	socket := fmt.Sprintf("/proc/%d/root/run/systemd/private", leader)
	if _, err := os.Stat(socket); err != nil {
		return nil, err
	}
	bridge, err := startBridge(exec.Command("nsenter", "--target", strconv.Itoa(leader), "--pid", "--", "socat", "-", "UNIX-CONNECT:"+socket))
	if err != nil {
		return nil, err
	}
	conn, err := godbus.NewConn(bridge)
	if err != nil {
		return nil, errors.Join(err, bridge.Close())
	}
	if err := conn.Auth([]godbus.Auth{godbus.AuthExternal(strconv.Itoa(os.Getuid()))}); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// bridge is a connection through a process's standard input and output.
type bridge struct {
	io.WriteCloser
	io.Reader
	cmd *exec.Cmd
}

func startBridge(cmd *exec.Cmd) (*bridge, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &bridge{in, out, cmd}, cmd.Start()
}

// Close ends the process and waits for it.
func (b *bridge) Close() error {
	err := b.WriteCloser.Close()
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait()
	return err
}

// Reloads returns how often systemd has read its units again since the boot.
func (n *Node) Reloads(ctx context.Context) (int, error) {
	if _, err := n.Do(ctx, "journalctl", "--sync"); err != nil {
		return 0, err
	}
	out, err := n.Do(ctx, "journalctl", "--boot", "--quiet", "--output=cat", "_PID=1")
	return strings.Count(out+"\n", "Reloading.\n"), err
}
