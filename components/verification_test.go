package components

import (
	"slices"
	"strings"
	"testing"
)

func TestVerificationIsReadFromLabels(t *testing.T) {
	for name, c := range map[string]struct {
		mode, allow string
		want        Verification
		err         string
	}{
		"nothing":               {"", "", Verification{Mode: VerifyNothing}, ""},
		"off":                   {"off", "", Verification{Mode: VerifyNothing}, ""},
		"the lock's own":        {"scoped", "", Verification{Mode: VerifyScoped}, ""},
		"everything":            {"enforce", "", Verification{Mode: VerifyEnforce}, ""},
		"what is allowed":       {"enforce", "r.example.org:5000, a.example.org/team,a.example.org/team", Verification{VerifyEnforce, []string{"a.example.org/team", "r.example.org:5000"}}, ""},
		"another word":          {"Enforce", "", Verification{}, `label image_verifier: "Enforce" is none of`},
		"a list that is unread": {"", "r.example.org", Verification{}, "label image_verifier_allow: it means something only"},
		"an address":            {"enforce", "http://r.example.org", Verification{}, "is no registry with a path"},
		"a gap":                 {"enforce", "r.example.org,,b.example.org", Verification{}, `"" is no registry`},
		"a quote":               {"enforce", `r.example.org"`, Verification{}, "is no registry with a path"},
		"too many":              {"enforce", strings.Repeat("r.example.org,", 64) + "r.example.org", Verification{}, "65 entries"},
	} {
		got, err := ParseVerification(c.mode, c.allow)
		if got.Mode != c.want.Mode || !slices.Equal(got.Allow, c.want.Allow) {
			t.Errorf("%s: %+v", name, got)
		}
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWithoutTheLabelContainerdAsksNobody(t *testing.T) {
	for _, mode := range []VerificationMode{"", VerifyNothing} {
		cluster := testCluster()
		cluster.Verification.Mode = mode
		p, err := Worker(cluster, testWorker())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range p.Files {
			if strings.Contains(f.Path, "image-policy") || strings.Contains(f.Content, "image-verifier") {
				t.Errorf("%q: the plan has %s", mode, f.Path)
			}
		}
	}
}
