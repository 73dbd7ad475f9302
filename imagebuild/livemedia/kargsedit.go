package livemedia

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrKargs is wrapped when a change of kernel arguments is not possible.
var ErrKargs = errors.New("kernel arguments")

// KargsEdit changes kernel arguments: Reset first, then Delete, Replace and Append.
type KargsEdit struct {
	Reset   bool     // begin with the image's default arguments
	Delete  []string // each removes one argument; it is an error when there is none such
	Replace []string // KEY=NEW, or KEY=OLD=NEW when the key is there several times
	Append  []string
}

// Empty reports whether the edit changes nothing.
func (e KargsEdit) Empty() bool {
	return !e.Reset && len(e.Delete)+len(e.Replace)+len(e.Append) == 0
}

// Apply returns the arguments after the change.
func (e KargsEdit) Apply(k *Kargs) (string, error) {
	args := strings.Fields(k.Current)
	if e.Reset {
		args = strings.Fields(k.Default)
	}
	for _, d := range e.Delete {
		i := slices.Index(args, d)
		if i < 0 {
			return "", fmt.Errorf("%w: cannot delete %q, which is not among them", ErrKargs, d)
		}
		args = slices.Delete(args, i, i+1)
	}
	for _, r := range e.Replace {
		i, arg, err := replacement(args, r)
		if err != nil {
			return "", err
		}
		args[i] = arg
	}
	args = append(args, e.Append...)
	for _, list := range [][]string{e.Delete, e.Replace, e.Append} {
		for _, arg := range list {
			if err := checkKarg(arg); err != nil {
				return "", err
			}
		}
	}
	return strings.Join(args, " "), nil
}

func replacement(args []string, change string) (int, string, error) {
	key, value, ok := strings.Cut(change, "=")
	if !ok || key == "" {
		return 0, "", fmt.Errorf("%w: replace %q: want KEY=NEW or KEY=OLD=NEW", ErrKargs, change)
	}
	var same []int
	for i, arg := range args {
		if k, _, _ := strings.Cut(arg, "="); k == key {
			same = append(same, i)
		}
	}
	if old, value, ok := strings.Cut(value, "="); ok {
		for _, i := range same {
			if args[i] == key+"="+old {
				return i, key + "=" + value, nil
			}
		}
	}
	switch len(same) {
	case 0:
		return 0, "", fmt.Errorf("%w: cannot replace %q, which is not among them", ErrKargs, key)
	case 1:
		return same[0], key + "=" + value, nil
	}
	return 0, "", fmt.Errorf("%w: %q is there %d times: say which by KEY=OLD=NEW", ErrKargs, key, len(same))
}

func checkKarg(arg string) error {
	for _, c := range arg {
		// Boot loaders' own characters would end the line or be something else to them.
		if c <= ' ' || c >= 0x7f || strings.ContainsRune("#$`{};\\\"'", c) {
			return fmt.Errorf("%w: %q: the character %q cannot be in one", ErrKargs, arg, c)
		}
	}
	if arg == "" {
		return fmt.Errorf("%w: an empty one", ErrKargs)
	}
	return nil
}

// SetKargs changes the kernel arguments of an image and returns them.
func SetKargs(ctx context.Context, iso string, e KargsEdit, to Target) (string, error) {
	var args string
	err := change(ctx, iso, to, func(m *Media, _ *source) ([]patch, error) {
		if m.Kargs == nil {
			return nil, fmt.Errorf("%w: the image has no areas for them", ErrKargs)
		}
		var err error
		if args, err = e.Apply(m.Kargs); err != nil {
			return nil, err
		}
		var patches []patch
		for _, a := range m.Kargs.Areas {
			b, err := a.bytes(args)
			if err != nil {
				return nil, err
			}
			patches = append(patches, patch{a.Region, b})
		}
		return patches, nil
	})
	if err != nil {
		return "", fmt.Errorf("kernel arguments of %s: %w", iso, err)
	}
	return args, nil
}
