package osimage

import (
	"bytes"
	"embed"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/imagebuild/lock"
)

//go:embed files
var files embed.FS

// Contents is what differs from one OS layer to the next.
type Contents struct {
	Agent      string // path on this machine of the agent's program, static, for the node's platform
	ImportTool string // path on this machine of the program that gives images to the pods' runtime
	Exec       string // path on this machine of the program that supervises components
	Verifier   string // path on this machine of the program that the pods' runtime asks about images
	TrustKeys  []byte // PEM: public keys whose signatures on locks nodes believe
	// Lock and LockSignature are the components' lock as it is baked in: images.yaml and its
	// detached signature, which has to be by one of TrustKeys.
	Lock, LockSignature []byte
	// Architecture of the node, as Go names it. Empty: amd64.
	Architecture string
	Policy       Policy // which images the node's own OS tools may take
	Files        []File // what an operator adds
}

func (c Contents) architecture() string {
	if c.Architecture == "" {
		return "amd64"
	}
	return c.Architecture
}

// entry is one file, directory or link of the layer. Everything belongs to root.
type entry struct {
	path   string // relative, without slash at the end
	mode   int64
	target string // of a symbolic link
	dir    bool
	size   int64
	open   func() (io.ReadCloser, error)
}

// Where the layer has things that package plan does not name.
const (
	unitDir       = "usr/lib/systemd/system"
	generatorPath = "usr/lib/systemd/system-generators/slipway-generator"
	// verifierEntry is a link, so that the directory is never empty: without an entry the runtime asks nobody.
	verifierEntry = "usr/libexec/slipway/image-verifiers/slipway-image-verifier"
	// contextsPath names the SELinux types of paths that Fedora's policy does not know.
	contextsPath = "etc/selinux/targeted/contexts/files/file_contexts.local"
)

// entries returns everything of the layer with its parent directories, sorted, each directory before what
// is in it. A lock that the layer's own keys do not vouch for is refused.
func (c Contents) entries() ([]entry, error) {
	if _, err := lock.Verify(c.Lock, c.LockSignature, c.TrustKeys); err != nil {
		return nil, fmt.Errorf("the lock to bake in: %w", err)
	}
	keys, err := trustKeys(c.TrustKeys)
	if err != nil {
		return nil, err // nothing that Verify has not read
	}
	list := []entry{
		link(unitDir+"/multi-user.target.wants/slipway-agent.service", "../slipway-agent.service"),
		link(generatorPath, plan.AgentBinary),
		link(verifierEntry, "../"+path.Base(plan.ImageVerifier)),
		// Zincati would rebase the node to the base image without our layer.
		link(unitDir+"/zincati.service", "/dev/null"),
		literal(path.Join(plan.TrustDir, "lock.pub"), keys),
		literal(path.Join(plan.BakedLock, "images.yaml"), c.Lock),
		literal(path.Join(plan.BakedLock, "images.yaml.sig"), c.LockSignature),
	}
	for to, from := range map[string]string{
		"usr/lib/systemd/system-preset/20-slipway.preset": "preset.conf",
		contextsPath:                          "file_contexts.local",
		unitDir + "/slipway-agent.service":    "slipway-agent.service",
		"usr/lib/sysusers.d/slipway.conf":     "sysusers.conf",
		"usr/lib/tmpfiles.d/slipway.conf":     "tmpfiles.conf",
		"usr/lib/sysctl.d/90-slipway.conf":    "sysctl.conf",
		"usr/lib/modules-load.d/slipway.conf": "modules-load.conf",
	} {
		data, err := files.ReadFile("files/" + from)
		if err != nil {
			return nil, err
		}
		list = append(list, literal(to, data))
	}
	for to, from := range map[string]string{plan.AgentBinary: c.Agent, plan.ImportTool: c.ImportTool, plan.ExecBinary: c.Exec, plan.ImageVerifier: c.Verifier} {
		program, err := program(to, from, c.architecture())
		if err != nil {
			return nil, err
		}
		list = append(list, program)
	}
	policy, err := c.Policy.entries()
	if err != nil {
		return nil, err
	}
	list = append(list, policy...)
	// For what others put there: further CNI plugins and their configuration. /opt is a link into
	// /var on Fedora CoreOS and cannot be part of an image.
	for _, d := range []string{"usr/libexec/cni", "etc/cni/net.d"} {
		list = append(list, entry{path: d, mode: 0o755, dir: true})
	}
	for _, f := range c.Files {
		e, err := f.entry()
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return withParents(list)
}

func literal(to string, data []byte) entry {
	return entry{path: strings.TrimPrefix(to, "/"), mode: 0o644, size: int64(len(data)),
		open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

func link(at, target string) entry { return entry{path: at, mode: 0o777, target: target} }

func withParents(list []entry) ([]entry, error) {
	known := map[string]entry{}
	for _, e := range list {
		if before, twice := known[e.path]; twice && !(before.dir && e.dir) {
			return nil, fmt.Errorf("/%s is in the layer twice", e.path)
		}
		known[e.path] = e
	}
	for _, e := range list {
		for d := path.Dir(e.path); d != "."; d = path.Dir(d) {
			if before, there := known[d]; there && !before.dir {
				return nil, fmt.Errorf("/%s is in the layer, and so is /%s, which is no directory", e.path, d)
			}
			known[d] = entry{path: d, mode: 0o755, dir: true}
		}
	}
	return slices.SortedFunc(maps.Values(known), func(a, b entry) int { return strings.Compare(a.path, b.path) }), nil
}
