package lint

import (
	"cmp"
	"slices"
)

// Severity says whether an image with the finding may be used.
type Severity string

// The severities. Build refuses a layer with an Error.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Finding is one thing that is wrong.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	Path     string   `json:"path,omitempty"`  // in the layer; empty for what is of the whole image
	Layer    int      `json:"layer,omitempty"` // number of the layer in the image
	Happens  string   `json:"happens"`         // what comes of it on a node
	Do       string   `json:"do"`              // what to do instead
}

// Rule is one named check.
type Rule struct {
	Name  string
	Says  string // what it asks for, in one line
	check func(s *Subject, found func(Finding))
}

// Rules returns all rules, those of bootc's first.
func Rules() []Rule {
	return []Rule{
		{"var-run", "/var/run is a link to /run", varRun},
		{"etc-usretc", "configuration is in /etc, never in /usr/etc", etcUsrEtc},
		{"bootc-kargs", "kernel arguments in /usr/lib/bootc/kargs.d can be parsed", bootcKargs},
		{"kernel", "there is exactly one kernel", kernel},
		{"utf8", "names are UTF-8", utf8Names},
		{"api-base-directories", "/dev, /proc, /sys, /run, /tmp and /var are directories", apiBaseDirectories},
		{"baseimage-root", "/sysroot, /ostree and prepare-root.conf stay as the base has them", baseimageRoot},
		{"var-log", "no logs are in the image", varLog},
		{"var-tmpfiles", "what is in /var is made by tmpfiles.d", varTmpfiles},
		{"sysusers", "users come from sysusers.d", sysusers},
		{"nonempty-boot", "/boot is empty", nonemptyBoot},
		{"runtime-only-dirs", "nothing is in directories that are made at run time", runtimeOnlyDirs},
		{"buildah-injected", "no files of a container builder are left", buildahInjected},
		{"top-level", "nothing is outside of /usr and /etc", topLevel},
		{"dotdot", "no name leads out of the layer", dotdot},
		{"sysroot-objects", "no object of the ostree repository is touched", sysrootObjects},
		{"whiteouts", "deleted files of the base are named", whiteouts},
		{"mtimes", "all times of modification are one fixed time", mtimes},
		{"implicit-parents", "each parent directory is in the layer, before what is in it", implicitParents},
		{"selinux-xattrs", "labels come from the policy", selinuxXattrs},
		{"unlabelled-executables", "programs are where the policy has a type for them", unlabelledExecutables},
		{"setuid", "no file changes the user who runs it", setuid},
		{"world-writable", "nothing can be written by all", worldWritable},
		{"special-files", "there are only files, directories and links", specialFiles},
		{"zincati", "Zincati cannot take the node back to the base", zincati},
		{"layer-type", "layers are of types that importers know", layerType},
		{"ostree-layers", "the encapsulated commit is found", ostreeLayers},
		{"layer-limit", "a node can hold the layers", layerLimit},
		{"architecture", "programs are for the image's architecture", architecture},
		{"signature-forms", "the image is signed in the form that nodes look for", signatureForms},
		{"user-data", "Nova takes the Ignition configuration", userData},
		{"kargs-area", "kernel arguments fit into the area of live media", kargsArea},
	}
}

// Run applies all rules. Findings come in the order of the rules, and of layers and paths within one.
func Run(s *Subject) []Finding {
	var all []Finding
	for _, r := range Rules() {
		var of []Finding
		r.check(s, func(f Finding) {
			f.Rule = r.Name
			of = append(of, f)
		})
		slices.SortStableFunc(of, func(a, b Finding) int {
			return cmp.Or(cmp.Compare(a.Layer, b.Layer), cmp.Compare(a.Path, b.Path))
		})
		all = append(all, of...)
	}
	return all
}

// Errors returns the findings that forbid the image's use.
func Errors(all []Finding) []Finding {
	var errs []Finding
	for _, f := range all {
		if f.Severity == Error {
			errs = append(errs, f)
		}
	}
	return errs
}

// each calls f for every entry of our layers that is no whiteout.
func (s *Subject) each(f func(Layer, Entry)) {
	for _, l := range s.Layers {
		for _, e := range l.Entries {
			if _, _, yes := e.Whiteout(); !yes {
				f(l, e)
			}
		}
	}
}

// at is a finding about an entry.
func at(l Layer, e Entry, severity Severity, happens, do string) Finding {
	return Finding{Severity: severity, Path: e.Path, Layer: l.Number, Happens: happens, Do: do}
}

// of is a finding about the whole image.
func of(severity Severity, happens, do string) Finding {
	return Finding{Severity: severity, Happens: happens, Do: do}
}
