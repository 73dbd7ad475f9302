package osimage

import (
	"bytes"
	"embed"
	"fmt"
	"io"
	"os"
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
	TrustKeys  []byte // PEM: public keys whose signatures on locks nodes believe
	// Lock and LockSignature are the components' lock as it is baked in: images.yaml and its
	// detached signature, which has to be by one of TrustKeys.
	Lock, LockSignature []byte
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
)

// entries returns everything of the layer with its parent directories, sorted, each directory before what
// is in it. A lock that the layer's own keys do not vouch for is refused.
func (c Contents) entries() ([]entry, error) {
	if _, err := lock.Verify(c.Lock, c.LockSignature, c.TrustKeys); err != nil {
		return nil, fmt.Errorf("the lock to bake in: %w", err)
	}
	list := []entry{
		link(unitDir+"/multi-user.target.wants/slipway-agent.service", "../slipway-agent.service"),
		link(generatorPath, plan.AgentBinary),
		// Zincati would rebase the node to the base image without our layer.
		link(unitDir+"/zincati.service", "/dev/null"),
		literal(path.Join(plan.TrustDir, "lock.pub"), c.TrustKeys),
		literal(path.Join(plan.BakedLock, "images.yaml"), c.Lock),
		literal(path.Join(plan.BakedLock, "images.yaml.sig"), c.LockSignature),
	}
	for to, from := range map[string]string{
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
	for to, from := range map[string]string{plan.AgentBinary: c.Agent, plan.ImportTool: c.ImportTool, plan.ExecBinary: c.Exec} {
		program, err := program(to, from)
		if err != nil {
			return nil, err
		}
		list = append(list, program)
	}
	return withParents(list), nil
}

func literal(to string, data []byte) entry {
	return entry{path: strings.TrimPrefix(to, "/"), mode: 0o644, size: int64(len(data)),
		open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

func link(at, target string) entry { return entry{path: at, mode: 0o777, target: target} }

func program(to, from string) (entry, error) {
	st, err := os.Stat(from)
	if err != nil {
		return entry{}, fmt.Errorf("program for %s: %w", to, err)
	}
	if !st.Mode().IsRegular() || st.Size() == 0 {
		return entry{}, fmt.Errorf("program for %s: %s is no file with contents", to, from)
	}
	return entry{path: strings.TrimPrefix(to, "/"), mode: 0o755, size: st.Size(),
		open: func() (io.ReadCloser, error) { return os.Open(from) }}, nil
}

func withParents(list []entry) []entry {
	known := map[string]bool{}
	for _, e := range list {
		for d := path.Dir(e.path); d != "."; d = path.Dir(d) {
			if !known[d] {
				known[d] = true
				list = append(list, entry{path: d, mode: 0o755, dir: true})
			}
		}
	}
	slices.SortFunc(list, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	return list
}
