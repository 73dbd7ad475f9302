package system

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestMain makes the test binary hold a claim when it is called as `… hold STATE up|other`:
// the lock is one of processes, so a second process is needed to see it.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "hold" {
		if _, err := take(os.Args[2]); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println("held")
		time.Sleep(10 * time.Minute)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// hold starts a process that holds the claim.
func hold(t *testing.T, state, as string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "hold", state, as)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "held\n" {
		t.Fatalf("the holder says %q, %v", line, err)
	}
	return cmd
}

func silent(string, ...any) {}

func TestAClaimNamesItsHolderAndEndsWithIt(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	holder := hold(t, state, "other")
	_, err := take(state)
	var held *heldError
	if !errors.As(err, &held) || held.pid != holder.Process.Pid {
		t.Fatalf("got %v, want process %d as holder", err, holder.Process.Pid)
	}
	holder.Process.Kill()
	holder.Wait()
	c, err := take(state)
	if err != nil {
		t.Fatal(err)
	}
	c.release()
}

func TestTakingOverEndsARunningUp(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	holder := hold(t, state, "up")
	c, err := takeOver(t.Context(), state, 2*time.Minute, silent)
	if err != nil {
		t.Fatal(err)
	}
	c.release()
	if err := holder.Wait(); err == nil {
		t.Error("the holder was not ended")
	}
}

func TestTakingOverNeverEndsAnythingElse(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	hold(t, state, "other")
	_, err := takeOver(t.Context(), state, 200*time.Millisecond, silent)
	var held *heldError
	if !errors.As(err, &held) {
		t.Errorf("got %v", err)
	}
}

func TestAClaimOutlivesTheRemovalOfItsDirectory(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	c, err := take(state)
	if err != nil {
		t.Fatal(err)
	}
	if err := removeState(state); err != nil {
		t.Fatal(err)
	}
	c.release()
	again, err := take(state)
	if err != nil {
		t.Fatal(err)
	}
	if !same(again.file, filepath.Join(state, "slipway.lock")) {
		t.Error("the claim is on a file that is not there")
	}
	again.release()
}
