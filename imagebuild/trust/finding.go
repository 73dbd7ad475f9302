package trust

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Kind says what is wrong.
type Kind string

// The kinds of findings.
const (
	Missing       Kind = "missing"       // a blob that is named is not there
	WrongDigest   Kind = "digest"        // a blob has other bytes than its name
	WrongSize     Kind = "size"          // a blob or file has another length than the lock says
	WrongDiffID   Kind = "diff-id"       // a layer unpacks to another archive than the lock says
	WrongFile     Kind = "file"          // a file in a layer is another one than the lock says, or too many or too few
	Contradiction Kind = "contradiction" // an object's digest is right and what it says is not what the lock says
	Unreadable    Kind = "unreadable"    // what an object must be cannot be read from it
	Unnamed       Kind = "unnamed"       // a blob that neither the lock nor anything proved names
	Stray         Kind = "stray"         // an entry that is no part of an OCI layout
)

// Finding is one thing that is not as the signed lock says.
type Finding struct {
	Kind     Kind   `json:"kind"`
	Image    string `json:"image,omitempty"`    // name@version
	Platform string `json:"platform,omitempty"` // "linux/amd64"
	Part     string `json:"part"`               // "manifest (zstd)", "layer 1 of 2 (gzip)", "file usr/bin/etcd"
	Blob     string `json:"blob,omitempty"`     // digest, or the name of a stray entry
	Expected string `json:"expected,omitempty"`
	Found    string `json:"found,omitempty"`
}

func (f Finding) String() string {
	var who []string
	for _, s := range []string{f.Image, f.Platform, f.Part} {
		if s != "" {
			who = append(who, s)
		}
	}
	text := fmt.Sprintf("%s: %s", strings.Join(who, " "), f.Kind)
	if f.Blob != "" {
		text += " " + f.Blob
	}
	if f.Expected != "" {
		text += ": expected " + f.Expected
		if f.Found != "" {
			text += ", found " + f.Found
		}
	} else if f.Found != "" {
		text += ": " + f.Found
	}
	return text
}

func sortFindings(all []Finding) {
	slices.SortFunc(all, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.Image, b.Image), strings.Compare(a.Platform, b.Platform),
			strings.Compare(a.Part, b.Part), strings.Compare(a.Blob, b.Blob),
			strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.Found, b.Found))
	})
}
