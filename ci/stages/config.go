package stages

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"slipway.build/slipway/ci/conformance"
	"slipway.build/slipway/ci/pipeline"
)

// Config says what the pipeline works on.
type Config struct {
	// Root is the clone of the repository, an absolute path.
	Root string
	// Images are the images to build, NAME or NAME@VERSION; empty means what one cluster needs.
	Images []string
	// All builds for all platforms and in all forms, and all images where none is named: what a
	// release has. Otherwise it is this machine's platform in the form that nodes fetch.
	All bool
	// Database is the vulnerability database, a directory or a URL.
	Database string
	// Key is a file with the release key that signs the lock; empty means a local key, which is made
	// on first use in Keys.
	Key string
	// Keys is the directory of the local key.
	Keys string
	// Publish is where to publish: oci:DIRECTORY or a registry's host with a path; empty publishes
	// nowhere, and there is no such stage.
	Publish string
	// From is the lock that clusters are on, whose step to this one is looked at as well; empty means
	// that only the lock itself is.
	From string
	// Unscanned lets things be published that were not scanned for want of a database.
	Unscanned bool
	// State is the state directory of the cluster that is booted; empty means DefaultState.
	State string
	// claim takes the machine for a cluster; nil means claim.
	claim func(ctx context.Context, s *pipeline.Step, state string) (release func(), err error)
	// examine runs the conformance tests; nil means conformance.Run.
	examine func(context.Context, conformance.Options) (*conformance.Result, error)
	// Now is the time by which acceptances expire; nil means time.Now.
	Now func() time.Time
}

// DefaultState is where the booted cluster's state is. It is named as the states of tests are, so
// that they take away what a killed run has left; it is on a real file system, because nodes put
// overlays upon it.
const DefaultState = "/var/lib/sliptest-ci"

func (c Config) complete() (Config, error) {
	if !filepath.IsAbs(c.Root) {
		return c, fmt.Errorf("the clone's path %q is not absolute", c.Root)
	}
	if c.Key == "" && c.Keys == "" {
		return c, errors.New("there is neither a release key nor a place for a local one")
	}
	if c.State == "" {
		c.State = DefaultState
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.claim == nil {
		c.claim = claim
	}
	if c.examine == nil {
		c.examine = conformance.Run
	}
	return c, nil
}

// in is a path of the clone.
func (c Config) in(parts ...string) string {
	return filepath.Join(append([]string{c.Root}, parts...)...)
}

// sources are inputs: directories of the clone without their tests, and files.
func (c Config) sources(names ...string) []pipeline.Input {
	var all []pipeline.Input
	for _, n := range names {
		all = append(all, pipeline.Sources(n, c.in(n), pipeline.WithoutTests))
	}
	return all
}

// day is an input of stages whose result changes with the calendar.
func (c Config) day() pipeline.Input {
	return pipeline.Parameter("day", c.Now().UTC().Format(time.DateOnly))
}

// New returns the pipeline.
func New(c Config) (*pipeline.Graph, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	all := []pipeline.Stage{
		c.programs(), c.images(), c.lock(), c.gate(), c.sbom(), c.sign(), c.lintLock(), c.reproduce(), c.scan(), c.lintOS(),
		c.conformanceTests(), c.boot(), c.e2e(), c.conformance(),
	}
	if c.Publish != "" {
		if _, err := c.target(); err != nil {
			return nil, err
		}
		all = append(all, c.publish(all))
	}
	return pipeline.NewGraph(all...)
}
