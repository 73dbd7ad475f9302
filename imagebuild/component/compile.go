package component

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// compile builds one program into the file out, which go build writes. Each line of the go
// command (a package that it compiles, a module that it downloads) goes to line.
func compile(ctx context.Context, goCommand string, env []string, sources string, in inputs, program Program, out string, line func(string)) error {
	args := append([]string{"build", "-v"}, in.Flags...)
	args = append(args, "-o", out, program.Package)
	cmd := exec.CommandContext(ctx, goCommand, args...)
	cmd.Dir = filepath.Join(sources, filepath.FromSlash(in.Recipe.Source))
	cmd.Env = env
	// Compilers and linkers are in the go command's process group and end with it; it ends
	// with us, which the kernel ties to the thread that started it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", goCommand, err)
	}
	last := readLines(stderr, line)
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("go build %s in sources/%s: %w\n%s", program.Package, in.Recipe.Source, err, strings.Join(last, "\n"))
	}
	return nil
}

// tailLines is how much of a failed command's output an error shows.
const tailLines = 20

func readLines(r io.Reader, line func(string)) (last []string) {
	scan := bufio.NewScanner(r)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		text := scan.Text()
		line(text)
		if last = append(last, text); len(last) > tailLines {
			last = last[1:]
		}
	}
	_, _ = io.Copy(io.Discard, r) // a line beyond the buffer must not block the command
	return last
}
