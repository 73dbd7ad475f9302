package split

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"

	"github.com/coreos/ignition/v2/config/util"
	"github.com/coreos/ignition/v2/config/v3_6/types"

	"slipway.build/slipway/imagebuild/ignition"
	"slipway.build/slipway/imagebuild/ignition/config"
)

// Options say how much fits and where the rest is served.
type Options struct {
	// Limit is how many bytes fit; ignition.MaxSize when 0.
	Limit int
	// URL is where the rest will be served. Without one what does not fit is an error.
	URL string
	// Version is that of Ignition's specification, the newest when empty.
	Version string
}

// Result is what Fit has made.
type Result struct {
	// UserData is what goes to Nova.
	UserData []byte
	// Rest is what has to be served at Options.URL, packed by gzip; nil when all has fitted.
	Rest []byte
	// Hash is that of the rest unpacked, as Ignition computes it: sha256-....
	Hash string
}

// ErrTooLarge is wrapped when a configuration does not fit.
var ErrTooLarge = ignition.ErrTooLarge

// Fit makes a configuration fit: as it is, or with packed contents, or split in two.
func Fit(c types.Config, o Options) (Result, error) {
	if o.Limit == 0 {
		o.Limit = ignition.MaxSize
	}
	if o.Version == "" {
		o.Version = types.MaxVersion.String()
	}
	whole, err := config.Convert(c, o.Version)
	if err != nil {
		return Result{}, err
	}
	if len(whole) <= o.Limit {
		return Result{UserData: whole}, nil
	}
	packed, err := Pack(c)
	if err != nil {
		return Result{}, err
	}
	small, err := config.Convert(packed, o.Version)
	if err != nil {
		return Result{}, err
	}
	if len(small) <= o.Limit {
		return Result{UserData: small}, nil
	}
	if o.URL == "" {
		return Result{}, fmt.Errorf("%w: %d bytes, %d with packed contents, at most %d; name a URL where the rest will be served", ErrTooLarge, len(whole), len(small), o.Limit)
	}
	return split(packed, o)
}

// Pack returns the configuration with the contents of data URLs packed where that is shorter.
func Pack(c types.Config) (types.Config, error) {
	c, err := clone(c)
	if err != nil {
		return c, err
	}
	for _, r := range config.Resources(&c) {
		if config.Remote(*r.Source) {
			continue
		}
		compression := ""
		if r.Compression != nil {
			compression = *r.Compression
		}
		b, err := config.Contents(*r.Source, compression)
		if err != nil {
			return c, fmt.Errorf("pack %s: %w", r.Owner, err)
		}
		packed, err := zip(b)
		if err != nil {
			return c, err
		}
		if url := "data:;base64," + base64.StdEncoding.EncodeToString(packed); len(url)+len(`"compression":"gzip",`) < len(*r.Source) {
			r.Source, r.Compression = &url, util.StrToPtr("gzip")
		}
	}
	return c, nil
}

func clone(c types.Config) (types.Config, error) {
	b, err := config.Marshal(c)
	if err != nil {
		return c, err
	}
	again, entries := config.Parse("configuration", b)
	return again, entries.Err(true)
}

// zip packs bytes: the same ones for the same contents.
func zip(b []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// split makes the stub and the rest.
func split(c types.Config, o Options) (Result, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return Result{}, fmt.Errorf("the URL %q of the rest is none of http or https", o.URL)
	}
	if len(c.Ignition.Config.Merge) > 0 || c.Ignition.Config.Replace.Source != nil {
		return Result{}, errors.New("a configuration that fetches others cannot be split: what they merge into would change")
	}
	stub, rest := divide(c)
	text, err := config.Convert(rest, o.Version)
	if err != nil {
		return Result{}, err
	}
	sum := sha256.Sum256(text)
	result := Result{Hash: "sha256-" + hex.EncodeToString(sum[:])}
	if result.Rest, err = zip(text); err != nil {
		return Result{}, err
	}
	stub.Ignition.Config.Merge = []types.Resource{{
		Source: &o.URL, Compression: util.StrToPtr("gzip"),
		Verification: types.Verification{Hash: &result.Hash},
	}}
	if result.UserData, err = config.Convert(stub, o.Version); err != nil {
		return Result{}, err
	}
	if len(result.UserData) > o.Limit {
		return Result{}, fmt.Errorf("%w: %d bytes even without what can be served elsewhere, at most %d", ErrTooLarge, len(result.UserData), o.Limit)
	}
	return result, nil
}
