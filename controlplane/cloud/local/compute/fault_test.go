package compute

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

// childEnv carries a request to this test binary run as a process of its own, which then
// creates the server and is killed meanwhile.
const childEnv = "SLIPWAY_TEST_COMPUTE_CHILD"

type childWork struct {
	Dir        string
	Image      Image
	Key        string
	Properties map[string]any
}

func TestMain(m *testing.M) {
	if work := os.Getenv(childEnv); work != "" {
		os.Exit(child(work))
	}
	os.Exit(m.Run())
}

func child(text string) int {
	var work childWork
	if err := json.Unmarshal([]byte(text), &work); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	c, err := over(work.Dir, work.Image)
	if err == nil {
		_, err = c.Types()["OS::Nova::Server"].Create(context.Background(), cloud.Request{Key: work.Key, Name: "kube-master", Cluster: "c", Properties: work.Properties})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func TestACreationKilledAtAnyMomentIsFinishedByTheNextCallAndMadeOnce(t *testing.T) {
	c := real(t)
	ctx := deadline(t)
	server := c.Types()["OS::Nova::Server"]
	image, err := c.Image(ctx, "node-os")
	if err != nil {
		t.Fatal(err)
	}
	// A whole creation takes some 400 ms here; kills are spread over all of it.
	for i := range 14 {
		name := fmt.Sprintf("killed-%d", i)
		req := request(t, c, name, name)
		work, err := json.Marshal(childWork{Dir: filepath.Dir(c.Dir), Image: image, Key: req.Key, Properties: req.Properties})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), childEnv+"="+string(work))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i*35) * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		object, err := server.Create(ctx, req)
		if err != nil {
			t.Fatalf("killed after %d ms: %v", i*35, err)
		}
		awaitBoot(t, c, name)
		if out, err := inside(t, c, name, "cat", "/etc/hostname", "/etc/slipway/agent.yaml"); err != nil || !strings.HasPrefix(out, name) || !strings.Contains(out, "one-time") {
			t.Errorf("killed after %d ms: user data: %q, %v", i*35, out, err)
		}
		if n := systems(t, c.unitName(object.Physical)); n != 1 {
			t.Errorf("killed after %d ms: %d containers of that name", i*35, n)
		}
		if err := server.Delete(ctx, req); err != nil {
			t.Fatal(err)
		}
	}
	checkNothingLeft(t, c)
}

// systems counts the systemd-nspawn processes of a machine name.
func systems(t *testing.T, name string) int {
	t.Helper()
	n := 0
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		if line, err := os.ReadFile(path); err == nil && strings.HasPrefix(string(line), "/usr/bin/systemd-nspawn\x00") && strings.Contains(string(line), "--machine="+name+"\x00") {
			n++
		}
	}
	return n
}

func TestAHalfMadeServerIsDeletedWhole(t *testing.T) {
	c := real(t)
	ctx := deadline(t)
	server := c.Types()["OS::Nova::Server"]
	image, err := c.Image(ctx, "node-os")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 7 {
		name := fmt.Sprintf("half-%d", i)
		req := request(t, c, name, name)
		work, err := json.Marshal(childWork{Dir: filepath.Dir(c.Dir), Image: image, Key: req.Key, Properties: req.Properties})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), childEnv+"="+string(work))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(20+i*60) * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if err := server.Delete(ctx, req); err != nil {
			t.Fatal(err)
		}
	}
	checkNothingLeft(t, c)
}

// On a machine where systemd is process 1 servers are its units. Such a machine is made here: a
// server, in which the tests of package launch run.
func TestTheLauncherWorksWhereSystemdIsProcessOne(t *testing.T) {
	c := real(t)
	binary := filepath.Join(t.TempDir(), "launch.test")
	build := exec.CommandContext(deadline(t), "go", "test", "-c", "-o", binary, "../launch")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := c.Types()["OS::Nova::Server"].Create(deadline(t), request(t, c, "host", "host")); err != nil {
		t.Fatal(err)
	}
	awaitBoot(t, c, "host")
	s, err := c.Find(deadline(t), "host")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Root, "var", "launch.test"), data, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := inside(t, c, "host", "/var/launch.test", "-test.v", "-test.run", "ProcessOne")
	if err != nil || !strings.Contains(out, "--- PASS: TestWhereSystemdIsProcessOneACommandIsATransientUnit") {
		t.Errorf("in the server: %v\n%s", err, out)
	}
}

func TestAServerThatIsUnknownOrHalfDescribedIsRefused(t *testing.T) {
	c := real(t)
	ctx := deadline(t)
	for name, change := range map[string]func(map[string]any){
		"an unknown flavor":       func(p map[string]any) { p["flavor"] = "c9" },
		"an unknown image":        func(p map[string]any) { p["image"] = "x" },
		"an unknown keypair":      func(p map[string]any) { p["key_name"] = "x" },
		"an unknown volume":       func(p map[string]any) { p["volumes"] = []any{map[string]any{"volume": "x", "path": "/var/lib/x"}} },
		"a volume at the root":    func(p map[string]any) { p["volumes"] = []any{map[string]any{"volume": "x", "path": "/"}} },
		"a volume in a colon":     func(p map[string]any) { p["volumes"] = []any{map[string]any{"volume": "x", "path": "/var/a:b"}} },
		"no port":                 func(p map[string]any) { delete(p, "port") },
		"a property of no server": func(p map[string]any) { p["colour"] = "red" },
	} {
		t.Run(name, func(t *testing.T) {
			req := request(t, c, "r", "r")
			change(req.Properties)
			_, err := c.Types()["OS::Nova::Server"].Create(ctx, req)
			if !fault.IsTerminal(err) {
				t.Errorf("error = %v, want a terminal one", err)
			}
			if servers, err := record.List[serverRecord](c.Store, kindServer); err != nil || len(servers) > 0 {
				t.Errorf("recorded: %v, %v", servers, err)
			}
		})
	}
	for _, size := range []any{0, -1, "x", 1 << 30} {
		_, err := c.Types()["OS::Cinder::Volume"].Create(ctx, cloud.Request{Key: "v", Name: "v", Properties: map[string]any{"size": size}})
		if !fault.IsTerminal(err) {
			t.Errorf("a volume of %v GiB: %v", size, err)
		}
	}
}

// BenchmarkBoot measures from the request to a system that is up: one server, and six at once.
func BenchmarkBoot(b *testing.B) {
	for _, n := range []int{1, 6} {
		b.Run(fmt.Sprintf("%d-at-once", n), func(b *testing.B) {
			c := real(b)
			server := c.Types()["OS::Nova::Server"]
			for b.Loop() {
				var wg sync.WaitGroup
				for i := range n {
					wg.Go(func() {
						name := fmt.Sprintf("boot-%d", i)
						if _, err := server.Create(deadline(b), request(b, c, name, name)); err != nil {
							b.Error(err)
							return
						}
						awaitTarget(b, c, name)
					})
				}
				wg.Wait()
				b.StopTimer()
				for i := range n {
					if err := server.Delete(deadline(b), cloud.Request{Key: fmt.Sprintf("boot-%d", i)}); err != nil {
						b.Fatal(err)
					}
				}
				b.StartTimer()
			}
		})
	}
}

// awaitTarget returns when all of the boot is done, with one process that waits for it.
func awaitTarget(b *testing.B, c *Compute, name string) {
	s, err := c.Find(deadline(b), name)
	if err != nil {
		b.Fatal(err)
	}
	for ctx := deadline(b); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d/root/run/systemd/private", s.Init)); err == nil {
			break
		}
		if ctx.Err() != nil {
			b.Fatal(name, "does not boot")
		}
	}
	if out, err := inside(b, c, name, "systemctl", "is-system-running", "--wait"); err != nil {
		b.Error(out, err)
	}
}
