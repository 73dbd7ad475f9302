package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// packAll packs n times, each time in a process and a directory of its own, and returns how many
// of them gave the digests of the first.
func packAll(ctx context.Context, work, inputs string, n int) (same int, want map[string]string, err error) {
	for i := range n {
		if i%10 == 0 {
			fmt.Fprintf(os.Stderr, "packing %d to %d of %d\n", i+1, min(i+10, n), n)
		}
		found, err := vary(ctx, work, inputs, i)
		if err != nil {
			return same, want, fmt.Errorf("packing %d: %w", i+1, err)
		}
		if want == nil {
			want = found
		}
		if maps.Equal(found, want) {
			same++
			continue
		}
		for _, name := range sortedNames(want) {
			if found[name] != want[name] {
				fmt.Printf("packing %d: %s is %s, and was %s\n", i+1, name, found[name], want[name])
			}
		}
	}
	return same, want, nil
}

// vary is one packing. i seeds what is different, so that a failure can be had again.
func vary(ctx context.Context, work, inputs string, i int) (map[string]string, error) {
	random := rand.New(rand.NewPCG(uint64(i), 4))
	pick := func(all ...string) string { return all[random.IntN(len(all))] }
	dir := filepath.Join(work, pick("a", "much/deeper/than/the/others", "with space", "ünïcode")+strconv.Itoa(i))
	defer os.RemoveAll(filepath.Join(work, strings.SplitN(strings.TrimPrefix(dir, work+"/"), "/", 2)[0]))
	if err := copyShuffled(inputs, dir, random); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(work, "program"), "pack", dir)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "SLIPT_REPRODUCIBLE=1",
		"TZ=" + pick("UTC", "Pacific/Auckland", "America/St_Johns", "Asia/Kathmandu"),
		"LC_ALL=" + pick("C", "de_DE.UTF-8", "tr_TR.UTF-8", "ja_JP.EUC-JP"),
		"GOMAXPROCS=" + pick("1", "2", "3", "8"), "SLIPT_UMASK=" + pick("022", "077", "002", "027"),
		"SOURCE_DATE_EPOCH=" + pick("0", "1700000000"), "USER=" + pick("root", "builder"),
	}
	cmd.Dir = pick("/", dir)
	if os.Geteuid() == 0 && random.IntN(2) == 0 {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		if err := giveAway(dir, nobody); err != nil {
			return nil, err
		}
	}
	out, err := cmd.Output()
	if err != nil {
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			return nil, fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return nil, err
	}
	var found map[string]string
	return found, json.Unmarshal(out, &found)
}

// copyShuffled copies a tree in a random order, with random times and permissions.
func copyShuffled(from, to string, random *rand.Rand) error {
	var files []string
	err := filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, strings.TrimPrefix(name, from+"/"))
		}
		return err
	})
	if err != nil {
		return err
	}
	random.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	for _, name := range files {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		file := filepath.Join(to, name)
		modes := []os.FileMode{0o644, 0o755, 0o444, 0o664}
		at := time.Unix(random.Int64N(2_000_000_000), 0)
		if err := errors.Join(
			os.MkdirAll(filepath.Dir(file), 0o755),
			os.WriteFile(file, data, 0o644), os.Chmod(file, modes[random.IntN(len(modes))]), os.Chtimes(file, at, at),
		); err != nil {
			return err
		}
	}
	return nil
}

func giveAway(dir string, id int) error {
	return filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(name, id, id))
	})
}

func sortedNames(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
