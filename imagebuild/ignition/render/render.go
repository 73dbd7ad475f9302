// Package render puts a node's user data together: from a Butane configuration, what a new node
// has to know, encrypted volumes and kernel arguments; checked, and made to fit.
package render

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/coreos/ignition/v2/config/v3_6/types"

	"slipway.build/slipway/imagebuild/ignition"
	"slipway.build/slipway/imagebuild/ignition/butane"
	"slipway.build/slipway/imagebuild/ignition/config"
	"slipway.build/slipway/imagebuild/ignition/lint"
	"slipway.build/slipway/imagebuild/ignition/luks"
	"slipway.build/slipway/imagebuild/ignition/report"
	"slipway.build/slipway/imagebuild/ignition/split"
)

// NodeVersion is the version of user data that come from no Butane configuration.
const NodeVersion = "3.3.0"

// Request is what is to be rendered. At least one of Butane, Node, Volumes and KernelArguments
// is given.
type Request struct {
	// Butane is the text of a configuration, File what it is called in errors, FilesDir where
	// its local files are.
	Butane         []byte
	File, FilesDir string
	// Node is a node that is to join.
	Node            *ignition.Node
	Volumes         []luks.Volume
	KernelArguments []string
	// Version is that of Ignition's specification. When empty it is the one that belongs to the
	// Butane configuration's, or NodeVersion.
	Version string
	// URL is where what does not fit is served; Limit how many bytes fit, as in split.Options.
	URL   string
	Limit int
	// Warnings says that Butane's warnings are none.
	Warnings bool
}

// Result is the user data, and the warnings that did not keep them from being made.
type Result struct {
	split.Result
	Warnings report.Entries
}

// Render renders the request.
func Render(r Request) (Result, error) {
	if r.Butane == nil && len(r.Volumes)+len(r.KernelArguments) == 0 && r.Node != nil && (r.Version == "" || r.Version == NodeVersion) {
		data, err := ignition.UserData(*r.Node) // the bytes that the control plane makes
		return Result{Result: split.Result{UserData: data}}, err
	}
	s := sum{version: NodeVersion}
	for _, add := range []func(Request) error{s.butane, s.volumes, s.arguments, s.node} {
		if err := add(r); err != nil {
			return Result{}, err
		}
	}
	if s.parts == 0 {
		return Result{}, errors.New("there is nothing to render")
	}
	found := lint.Check(r.File, nil, s.config)
	if r.Butane != nil {
		found = butane.Locate(r.File, r.Butane, found)
	}
	if err := found.Err(true); err != nil {
		return Result{}, err
	}
	if r.Version != "" {
		s.version = r.Version
	}
	fitted, err := split.Fit(s.config, split.Options{Limit: r.Limit, URL: r.URL, Version: s.version})
	if err != nil {
		return Result{}, fmt.Errorf("render: %w", err)
	}
	// What was made is read once more by the rules of its own version.
	if _, entries := config.Parse("the rendered configuration", fitted.UserData); entries.Err(true) != nil {
		return Result{}, entries.Err(true)
	}
	return Result{Result: fitted, Warnings: append(s.warnings, found...)}, nil
}

// sum is what the parts of a request come together in, each merged over those before it.
type sum struct {
	config   types.Config
	version  string
	parts    int
	warnings report.Entries
}

func (s *sum) put(data []byte, what string) error {
	child, entries := config.Parse(what, data)
	if err := entries.Err(true); err != nil {
		return err
	}
	if s.parts++; s.parts == 1 {
		s.config = child
	} else {
		s.config = config.Merge(s.config, child)
	}
	return nil
}

func (s *sum) butane(r Request) error {
	if r.Butane == nil {
		return nil
	}
	data, entries := butane.Render(r.File, r.Butane, butane.Options{FilesDir: r.FilesDir})
	if err := entries.Err(r.Warnings); err != nil {
		return err
	}
	s.warnings, s.version = entries, versionOf(data)
	return s.put(data, r.File)
}

func (s *sum) volumes(r Request) error {
	for _, v := range r.Volumes {
		text, err := v.Butane()
		if err != nil {
			return err
		}
		data, entries := butane.Render("volume "+v.Name, text, butane.Options{})
		if err := entries.Err(false); err != nil {
			return err
		}
		if err := s.put(data, "volume "+v.Name); err != nil {
			return err
		}
	}
	return nil
}

func (s *sum) arguments(r Request) error {
	if len(r.KernelArguments) == 0 {
		return nil
	}
	c := types.Config{Ignition: types.Ignition{Version: types.MaxVersion.String()}}
	for _, a := range r.KernelArguments {
		c.KernelArguments.ShouldExist = append(c.KernelArguments.ShouldExist, types.KernelArgument(a))
	}
	data, err := config.Marshal(c)
	if err != nil {
		return err
	}
	return s.put(data, "kernel arguments")
}

func (s *sum) node(r Request) error {
	if r.Node == nil {
		return nil
	}
	data, err := ignition.UserData(*r.Node)
	if err != nil {
		return err
	}
	return s.put(data, "node "+r.Node.Hostname)
}

func versionOf(data []byte) string {
	var v struct {
		Ignition struct {
			Version string `json:"version"`
		} `json:"ignition"`
	}
	_ = json.Unmarshal(data, &v) // Butane wrote it
	return v.Ignition.Version
}
