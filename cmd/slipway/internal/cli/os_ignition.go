package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"slipway.build/slipway/imagebuild/ignition"
	"slipway.build/slipway/imagebuild/ignition/butane"
	"slipway.build/slipway/imagebuild/ignition/config"
	"slipway.build/slipway/imagebuild/ignition/lint"
	"slipway.build/slipway/imagebuild/ignition/luks"
	"slipway.build/slipway/imagebuild/ignition/render"
	"slipway.build/slipway/imagebuild/ignition/report"
)

func (a *app) osIgnition() *cobra.Command {
	return group("ignition", "Render, check and embed what a node reads at its first boot",
		a.ignitionRender(), a.ignitionButane(), a.ignitionValidate(),
		a.mediaEmbed(), a.mediaExtract(), a.mediaRemove(), a.mediaRecover(), a.mediaKargs(), a.mediaPXE())
}

// maxText bounds what is read of a configuration.
const maxText = 32 << 20

// readText reads a file, or standard input for "-".
func (a *app) readText(file string) ([]byte, error) {
	in := a.In
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxText+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	if len(b) > maxText {
		return nil, fmt.Errorf("%s is larger than %d bytes", file, maxText)
	}
	return b, nil
}

// writeSecret writes a whole file that only its owner may read: it may carry a token.
func writeSecret(file string, data []byte) error {
	if err := renameio.WriteFile(file, data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

func (a *app) ignitionRender() *cobra.Command {
	var r render.Request
	var out, rest, node string
	var keys, volumes []string
	var pretty bool
	var hostname string
	cmd := &cobra.Command{
		Use: "render [BUTANE]", Short: "Render a Butane configuration, a node's user data, or both, as Ignition", Args: cobra.MaximumNArgs(1),
		Long: `Render a Butane configuration of the variant fcos (- for standard input), what a node needs to join, encrypted
volumes and kernel arguments as one Ignition configuration. What is wrong is named with file, line and column;
Butane's warnings, such as unknown keys, are errors unless --warnings is given. Nova takes 49149 bytes of user
data: what is larger is packed, and with --url split into a stub that fetches the rest, pinned by its hash.`,
		Example: `  slipway os ignition render node.bu --files-dir files --out node.ign
  slipway os ignition render --node agent.yaml --hostname k8s-x-master-0 --out user-data
  slipway os ignition render large.bu --url https://config.example.org/rest.ign --out user-data --rest rest.ign`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (r.URL == "") != (rest == "") {
				return usagef("--url and --rest go together: where the rest is served, and the file to write it to")
			}
			for _, text := range volumes {
				v, err := luks.Parse(text)
				if err != nil {
					return usageError{err}
				}
				r.Volumes = append(r.Volumes, v)
			}
			if len(args) == 0 && node == "" && len(volumes)+len(r.KernelArguments) == 0 {
				return usagef("name a Butane configuration, --node, --volume or --karg")
			}
			if err := a.request(&r, args, node, hostname, keys); err != nil {
				return err
			}
			result, err := render.Render(r)
			if err != nil {
				return err
			}
			return a.rendered(result, r.Limit, out, rest, pretty)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&r.FilesDir, "files-dir", "", "directory that the fields named local are relative to (default: none may be used)")
	flags.StringVar(&r.Version, "to", "", "version of Ignition's specification, such as 3.3.0: an error when it cannot say all of it (default: the one that belongs to Butane's)")
	flags.StringVar(&node, "node", "", "agent.yaml of a node that is to join: controlPlane, ca, node and token")
	flags.StringVar(&hostname, "hostname", "", "host name of the node")
	flags.StringArrayVar(&keys, "authorized-keys", nil, "file with public keys for the user "+ignition.User+"; may be repeated")
	flags.StringArrayVar(&volumes, "volume", nil, "encrypted volume: NAME=DEVICE[,tpm2][,tang=URL#THUMBPRINT][,threshold=N][,mount=DIRECTORY][,format=FS][,keep]; may be repeated")
	flags.StringArrayVar(&r.KernelArguments, "karg", nil, "kernel argument that is to be there; may be repeated")
	flags.StringVar(&r.URL, "url", "", "where what does not fit will be served")
	flags.StringVar(&rest, "rest", "", "file for what is to be served there")
	flags.IntVar(&r.Limit, "limit", ignition.MaxSize, "how many bytes fit")
	flags.StringVar(&out, "out", "", "file to write (default: standard output)")
	flags.BoolVar(&pretty, "pretty", false, "indent what goes to standard output")
	flags.BoolVar(&r.Warnings, "warnings", false, "let Butane's warnings pass")
	return cmd
}

// request reads the files that a request names.
func (a *app) request(r *render.Request, args []string, node, hostname string, keys []string) (err error) {
	if len(args) == 1 {
		r.File = args[0]
		if r.Butane, err = a.readText(args[0]); err != nil {
			return err
		}
		if r.Butane == nil {
			r.Butane = []byte{}
		}
	}
	if node == "" {
		if hostname != "" || len(keys) > 0 {
			return usagef("--hostname and --authorized-keys belong to --node")
		}
		return nil
	}
	text, err := a.readText(node)
	if err != nil {
		return err
	}
	r.Node = &ignition.Node{Hostname: hostname}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&r.Node.Agent); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", node, err)
	}
	for _, file := range keys {
		b, err := a.readText(file)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(b)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				r.Node.AuthorizedKeys = append(r.Node.AuthorizedKeys, line)
			}
		}
	}
	return nil
}

// rendered writes the files, or the configuration to standard output. The rest is written first:
// a stub without it would be of no use.
func (a *app) rendered(r render.Result, limit int, out, rest string, pretty bool) error {
	if r.Rest != nil {
		if err := writeSecret(rest, r.Rest); err != nil {
			return err
		}
	}
	if !a.json() {
		for _, w := range r.Warnings {
			fmt.Fprintln(a.Err, w)
		}
	}
	if out == "" && !a.json() {
		text := r.UserData
		if pretty {
			var b bytes.Buffer
			if err := json.Indent(&b, text, "", "  "); err != nil {
				return err
			}
			text = b.Bytes()
		}
		fmt.Fprintf(a.Out, "%s\n", text)
		return nil
	}
	if out != "" {
		if err := writeSecret(out, r.UserData); err != nil {
			return err
		}
	}
	if a.json() {
		line := map[string]any{"size": len(r.UserData), "limit": limit, "warnings": append(report.Entries{}, r.Warnings...)}
		if out != "" {
			line["file"] = out
		} else {
			line["ignition"] = json.RawMessage(r.UserData)
		}
		if r.Rest != nil {
			line["rest"], line["hash"] = rest, r.Hash
		}
		return a.printLine(line)
	}
	fmt.Fprintf(a.Err, "%s has %d bytes.\n", out, len(r.UserData))
	if r.Rest != nil {
		fmt.Fprintf(a.Err, "%s has %d bytes, packed by gzip, %s unpacked: serve it at the URL.\n", rest, len(r.Rest), r.Hash)
	}
	return nil
}

func (a *app) ignitionButane() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "butane IGNITION", Short: "Write an Ignition configuration as a Butane one", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := a.readText(args[0])
			if err != nil {
				return err
			}
			c, entries := config.Parse(args[0], text)
			if err := entries.Err(false); err != nil {
				return err
			}
			b, err := butane.Generate(c)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if out != "" {
				return writeSecret(out, b)
			}
			if a.json() {
				return a.printLine(map[string]any{"butane": string(b)})
			}
			_, err = a.Out.Write(b)
			return err
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "file to write (default: standard output)")
	return cmd
}

func (a *app) ignitionValidate() *cobra.Command {
	var limit int
	var warnings bool
	cmd := &cobra.Command{
		Use: "validate FILE...", Short: "Check Ignition and Butane (.bu) configurations with all rules", Args: cobra.MinimumNArgs(1),
		Long: `Check configurations by Ignition's own parser and by the rules size (what Nova takes), pinned (what is fetched
has a hash), contents (data URLs are what they say), luks-cipher (volumes name cipher and key size) and secret (no
private keys, no tokens but the agent's join token). Warnings count as errors unless --warnings is given.`,
		RunE: func(_ *cobra.Command, args []string) error {
			var all report.Entries
			for _, file := range args {
				text, err := a.readText(file)
				if err != nil {
					return err
				}
				entries := validate(file, text, limit)
				all = append(all, entries...)
				if !a.json() && entries.Err(warnings) == nil {
					fmt.Fprintf(a.Out, "%s is valid: %d bytes.\n", file, len(text))
				}
			}
			err := all.Err(warnings)
			if a.json() {
				if e := a.printLine(map[string]any{"valid": err == nil, "entries": append(report.Entries{}, all...)}); e != nil {
					return e
				}
			} else {
				for _, e := range all {
					fmt.Fprintln(a.Out, e)
				}
			}
			if err != nil {
				return fmt.Errorf("%d of the findings count as errors", countErrors(all, warnings))
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&limit, "limit", ignition.MaxSize, "how many bytes a configuration may have; -1 for any number")
	cmd.Flags().BoolVar(&warnings, "warnings", false, "let warnings pass")
	return cmd
}

// validate checks one configuration of either kind.
func validate(file string, text []byte, limit int) report.Entries {
	if ext := filepath.Ext(file); ext != ".bu" && ext != ".butane" {
		return lint.Validate(file, text, limit)
	}
	data, entries := butane.Render(file, text, butane.Options{FilesDir: filepath.Dir(file)})
	if data == nil {
		return entries
	}
	return append(entries, butane.Locate(file, text, lint.Validate(file, data, limit))...)
}

func countErrors(all report.Entries, warnings bool) int {
	n := 0
	for _, e := range all {
		if e.Level == report.Error || !warnings {
			n++
		}
	}
	return n
}
