package split

import (
	"bytes"
	"strings"

	"github.com/coreos/ignition/v2/config/v3_6/types"

	"slipway.build/slipway/imagebuild/ignition/config"
	"slipway.build/slipway/imagebuild/ignition/lint"
)

// divide leaves in the stub what fetching needs, and what others must not read where the rest is
// served: the agent's configuration, hashes of passwords and what looks like a secret.
func divide(c types.Config) (stub, rest types.Config) {
	stub, rest = types.Config{Ignition: c.Ignition}, c
	rest.Ignition = types.Ignition{Version: c.Ignition.Version}
	rest.Storage.Files, rest.Storage.Luks, rest.Systemd.Units, rest.Passwd = nil, nil, nil, types.Passwd{}
	for _, f := range c.Storage.Files {
		to := &rest
		if privateFile(f) {
			to = &stub
		}
		to.Storage.Files = append(to.Storage.Files, f)
	}
	for _, v := range c.Storage.Luks {
		to := &rest
		if v.KeyFile.Source != nil && !config.Remote(*v.KeyFile.Source) {
			to = &stub
		}
		to.Storage.Luks = append(to.Storage.Luks, v)
	}
	for _, u := range c.Systemd.Units {
		to := &rest
		if privateUnit(u) {
			to = &stub
		}
		to.Systemd.Units = append(to.Systemd.Units, u)
	}
	for _, u := range c.Passwd.Users {
		to := &rest
		if u.PasswordHash != nil {
			to = &stub
		}
		to.Passwd.Users = append(to.Passwd.Users, u)
	}
	for _, g := range c.Passwd.Groups {
		to := &rest
		if g.PasswordHash != nil {
			to = &stub
		}
		to.Passwd.Groups = append(to.Passwd.Groups, g)
	}
	return stub, rest
}

func privateFile(f types.File) bool {
	for _, r := range append([]types.Resource{f.Contents}, f.Append...) {
		if r.Source == nil {
			continue
		}
		if len(r.HTTPHeaders) > 0 {
			return true // the header may be what opens the server
		}
		compression := ""
		if r.Compression != nil {
			compression = *r.Compression
		}
		b, err := config.Contents(*r.Source, compression)
		// The boot loader's passwords are hashes, too.
		if err == nil && (lint.Secrets(f.Path, b) || bytes.Contains(b, []byte("password_pbkdf2"))) {
			return true
		}
	}
	return false
}

func privateUnit(u types.Unit) bool {
	var text strings.Builder
	if u.Contents != nil {
		text.WriteString(*u.Contents)
	}
	for _, d := range u.Dropins {
		if d.Contents != nil {
			text.WriteString("\n" + *d.Contents)
		}
	}
	return lint.Secrets(u.Name, []byte(text.String()))
}
