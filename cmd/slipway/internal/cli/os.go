package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/images"
	"slipway.build/slipway/cmd/slipway/internal/nodeos"
	"slipway.build/slipway/cmd/slipway/internal/progress"
	"slipway.build/slipway/cmd/slipway/internal/worktree"
	"slipway.build/slipway/imagebuild/osimage"
	"slipway.build/slipway/imagebuild/osimage/program"
	"slipway.build/slipway/imagebuild/sign"
)

func (a *app) osCommand() *cobra.Command {
	return group("os", "Derive node OS images, lint them, verify them; make what nodes read at their first boot",
		a.osBuild(), a.osLint(), a.osVerify(), a.osChain(), a.osIgnition())
}

// layerFlags say what goes into an OS layer.
type layerFlags struct {
	source, bin, arch, lock, key string
	repositories, accept, add    []string
}

func (f *layerFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.source, "source", "", "clone of slipway to compile the node's programs from (default: the one around the working directory or the executable)")
	flags.StringVar(&f.bin, "bin", "", "directory with slipway-agent, slipway-exec, slipway-import and slipway-image-verifier, instead of compiling them")
	flags.StringVar(&f.arch, "arch", "amd64", "amd64 or arm64")
	flags.StringVar(&f.lock, "lock", "", "components' lock to bake in (default: the published one of the state directory, else images.yaml of the clone)")
	flags.StringVar(&f.key, "key", "", "private key that signs (default: the local key)")
	flags.StringArrayVar(&f.repositories, "repository", nil, "repository that nodes take OS images from, REGISTRY/PATH or REGISTRY/PATH=KEYFILE for one with another public key; may be repeated")
	flags.StringArrayVar(&f.accept, "accept", nil, "TRANSPORT:SCOPE that the node's OS takes images from unsigned, such as oci:/run/media/slipway; may be repeated")
	flags.StringArrayVar(&f.add, "add", nil, "PATH=FILE[:MODE] to add to the layer, such as /usr/libexec/cni/mine=./mine:0755; may be repeated")
}

// contents gathers what goes into the layer; the caller removes what was compiled with done.
func (a *app) contents(cmd *cobra.Command, f *layerFlags, report progress.Reporter) (c osimage.Contents, key *sign.Key, done func(), err error) {
	done = func() {}
	if f.arch != "amd64" && f.arch != "arm64" {
		return c, nil, done, usagef("--arch %s: want amd64 or arm64", f.arch)
	}
	paths := images.Paths{State: a.state}
	if key, err = signerOf(paths, f.key); err != nil {
		return c, nil, done, err
	}
	programs := program.In(f.bin)
	if f.bin == "" {
		if programs, done, err = a.compile(cmd, f, report); err != nil {
			return c, nil, done, err
		}
	}
	file, err := f.lockFile(paths)
	if err != nil {
		return c, nil, done, err
	}
	if c, err = nodeos.Signed(file, key, programs); err != nil {
		return c, nil, done, err
	}
	c.Architecture = f.arch
	return c, key, done, f.additions(&c)
}

func (a *app) compile(cmd *cobra.Command, f *layerFlags, report progress.Reporter) (p program.Programs, done func(), err error) {
	done = func() {}
	tree, err := worktree.Find(f.source)
	if err != nil {
		return p, done, usageError{err}
	}
	dir, err := os.MkdirTemp("", "slipway-os-")
	if err != nil {
		return p, done, err
	}
	done = func() { os.RemoveAll(dir) }
	u := progress.Update{Task: "programs", Label: "compile the node's programs", State: progress.Running, Detail: program.Toolchain + ", linux/" + f.arch}
	report.Report(u)
	p, err = program.Compile(cmd.Context(), program.Options{Source: tree.Root, Architecture: f.arch, Dir: dir})
	u.State = progress.Done
	if err != nil {
		u.State = progress.Failed
	}
	report.Report(u)
	return p, done, err
}

// lockFile is the lock that goes in.
func (f *layerFlags) lockFile(paths images.Paths) (string, error) {
	if f.lock != "" {
		return f.lock, nil
	}
	if _, err := os.Stat(paths.Lock()); err == nil {
		return paths.Lock(), nil
	}
	tree, err := worktree.Find(f.source)
	if err != nil {
		return "", usageError{fmt.Errorf("%w; or name a lock with --lock", err)}
	}
	return tree.Lock(), nil
}

// additions puts the policy and the operator's files into the contents.
func (f *layerFlags) additions(c *osimage.Contents) error {
	for _, r := range f.repositories {
		name, file, own := strings.Cut(r, "=")
		public := c.TrustKeys
		if own {
			var err error
			if public, err = os.ReadFile(file); err != nil {
				return usageError{fmt.Errorf("--repository %s: %w", r, err)}
			}
		}
		c.Policy.Repositories = append(c.Policy.Repositories, osimage.Repository{Name: name, Key: public})
	}
	c.Policy.Accept = f.accept
	for _, text := range f.add {
		file, err := parseAdd(text)
		if err != nil {
			return usageError{err}
		}
		c.Files = append(c.Files, file)
	}
	return nil
}

// parseAdd reads PATH=FILE[:MODE].
func parseAdd(text string) (osimage.File, error) {
	at, from, ok := strings.Cut(text, "=")
	if !ok || at == "" || from == "" {
		return osimage.File{}, fmt.Errorf("--add %s: want PATH=FILE[:MODE]", text)
	}
	f := osimage.File{Path: at, Source: from}
	if i := strings.LastIndexByte(from, ':'); i > 0 {
		mode, err := strconv.ParseUint(from[i+1:], 8, 32)
		if err != nil {
			return osimage.File{}, fmt.Errorf("--add %s: %q is no octal mode", text, from[i+1:])
		}
		f.Source, f.Mode = from[:i], os.FileMode(mode)
		if mode > 0o777 {
			return osimage.File{}, fmt.Errorf("--add %s: a mode is at most 0777: no setuid, no sticky bit", text)
		}
	}
	f.Source = filepath.Clean(f.Source)
	return f, nil
}
