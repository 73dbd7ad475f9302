package butane

import (
	"fmt"
	"strings"

	"github.com/coreos/butane/config/common"
	fcos1_0 "github.com/coreos/butane/config/fcos/v1_0"
	fcos1_1 "github.com/coreos/butane/config/fcos/v1_1"
	fcos1_2 "github.com/coreos/butane/config/fcos/v1_2"
	fcos1_3 "github.com/coreos/butane/config/fcos/v1_3"
	fcos1_4 "github.com/coreos/butane/config/fcos/v1_4"
	fcos1_5 "github.com/coreos/butane/config/fcos/v1_5"
	fcos1_6 "github.com/coreos/butane/config/fcos/v1_6"
	fcos1_7 "github.com/coreos/butane/config/fcos/v1_7"
	vreport "github.com/coreos/vcontext/report"

	"slipway.build/slipway/imagebuild/ignition/report"
)

const (
	// Variant is the only one that is translated: that of Fedora CoreOS.
	Variant = "fcos"
	// Newest is the newest stable version of the variant.
	Newest = "1.7.0"
	// Rule is the name of the rule that a configuration is one of Butane's.
	Rule = "butane"
)

// Options are how a Butane configuration is translated.
type Options struct {
	// FilesDir is the directory that the fields named local are relative to. Without one they
	// are errors; files outside it are, too.
	FilesDir string
}

// translate is the function that all versions have.
type translate func([]byte, common.TranslateBytesOptions) ([]byte, vreport.Report, error)

func translator(version string) (translate, error) {
	switch version {
	case "1.0.0":
		return fcos1_0.ToIgn3_0Bytes, nil
	case "1.1.0":
		return fcos1_1.ToIgn3_1Bytes, nil
	case "1.2.0":
		return fcos1_2.ToIgn3_2Bytes, nil
	case "1.3.0":
		return fcos1_3.ToIgn3_2Bytes, nil
	case "1.4.0":
		return fcos1_4.ToIgn3_3Bytes, nil
	case "1.5.0":
		return fcos1_5.ToIgn3_4Bytes, nil
	case "1.6.0":
		return fcos1_6.ToIgn3_5Bytes, nil
	case "1.7.0":
		return fcos1_7.ToIgn3_6Bytes, nil
	}
	return nil, fmt.Errorf("version %q of the variant %s is unknown; known are 1.0.0 to %s", version, Variant, Newest)
}

// Render translates the text of a Butane configuration, which the entries call by the name of
// file. The result is an Ignition configuration of the version that belongs to Butane's; it is nil
// when the entries have an error.
func Render(file string, text []byte, o Options) ([]byte, report.Entries) {
	doc, version, entries := head(file, text)
	if entries != nil {
		return nil, entries
	}
	to, err := translator(version.Value)
	if err != nil {
		return nil, report.Entries{at(file, version, "$.version", err.Error())}
	}
	ignition, r, err := to(text, common.TranslateBytesOptions{TranslateOptions: common.TranslateOptions{FilesDir: o.FilesDir}})
	entries = report.From(file, Rule, r)
	for i := range entries {
		// Butane writes $.storage.files.0.contents.source for what is inline in the text.
		if entries[i].Line == 0 {
			entries[i].Line, entries[i].Column = 1, 1
		}
		if strings.HasPrefix(entries[i].Message, "unused key ") {
			entries[i].Message = "unknown key " + strings.TrimPrefix(entries[i].Message, "unused key ")
		}
	}
	if err != nil {
		if !r.IsFatal() {
			entries = append(entries, failure(file, doc, err)...)
		}
		ignition = nil
	}
	return ignition, entries.Sort()
}
