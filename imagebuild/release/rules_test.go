package release

import (
	"testing"
	"time"

	"slipway.build/slipway/imagebuild/lock"
)

// ruleCase is one lock and what one rule finds in it.
type ruleCase struct {
	change func(s *Subject)
	want   []string
}

// judge runs the cases of a rule on the sound lock, changed.
func judge(t *testing.T, rule string, cases map[string]ruleCase) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := subject(sound(t))
			c.change(&s)
			expect(t, find(t, rule, s), c.want...)
		})
	}
}

// edit changes one image of the lock.
func edit(t *testing.T, s *Subject, name string, change func(*lock.Image)) {
	t.Helper()
	images := s.Lock.ByName(name)
	if len(images) == 0 {
		t.Fatalf("no image %s", name)
	}
	change(images[len(images)-1])
}

func TestFormIsHeldAgainstTheLock(t *testing.T) {
	judge(t, "form", map[string]ruleCase{
		"sound":        {func(*Subject) {}, nil},
		"two problems": {func(s *Subject) { s.Lock.Toolchain = "go1"; s.Lock.Number = 0 }, []string{"number: 0 is not", `toolchain: "go1" is not`}},
		"no binary":    {func(s *Subject) { edit(t, s, "etcd", func(i *lock.Image) { i.Platforms[0].Files = nil }) }, []string{"(etcd).platforms[0].files: none given"}},
	})
}

func TestALockThatNobodySignedIsFound(t *testing.T) {
	judge(t, "signed", map[string]ruleCase{
		"signed":        {func(*Subject) {}, nil},
		"not signed":    {func(s *Subject) { s.Signature = Signature{Problem: "there is no signature x.sig"} }, []string{"there is no signature x.sig"}},
		"not looked at": {func(s *Subject) { s.Signature = Signature{} }, []string{"no signature was looked at"}},
	})
}

func TestALockBeforeOrAfterItsTimeIsFound(t *testing.T) {
	judge(t, "expired", map[string]ruleCase{
		"in its time":     {func(*Subject) {}, nil},
		"at its end":      {func(s *Subject) { s.Now = s.Lock.ExpiresAt() }, []string{"expires: it ended at"}},
		"before its time": {func(s *Subject) { s.Now = today.Add(-2 * time.Hour) }, []string{"issued: it begins at"}},
	})
}

func TestNumbersMustGrow(t *testing.T) {
	from := func(number int64, change func(*lock.Lock)) func(*Subject) {
		return func(s *Subject) {
			s.From = sound(t)
			s.From.Number = number
			change(s.From)
		}
	}
	nothing := func(*lock.Lock) {}
	judge(t, "number", map[string]ruleCase{
		"alone":             {func(*Subject) {}, nil},
		"one higher":        {from(6, nothing), nil},
		"the very same":     {from(7, nothing), nil},
		"lower":             {from(8, nothing), []string{"7 does not follow 8"}},
		"the same, changed": {from(7, func(l *lock.Lock) { l.Toolchain = "go1.26.6" }), []string{"7 does not follow 7"}},
	})
}

func TestWhatMayMoveIsFound(t *testing.T) {
	upstream := func(reference, index string) func(*Subject) {
		return func(s *Subject) {
			edit(t, s, "coredns", func(i *lock.Image) { i.Source, i.Index = lock.Source{Reference: reference}, index })
		}
	}
	judge(t, "pinned", map[string]ruleCase{
		"sums":      {func(*Subject) {}, nil},
		"no sum":    {func(s *Subject) { edit(t, s, "coredns", func(i *lock.Image) { i.Source.Sum = "" }) }, []string{"coredns@v1.15.0 source.sum: is empty"}},
		"no go.sum": {func(s *Subject) { edit(t, s, "coredns", func(i *lock.Image) { i.Source.GoSum = "" }) }, []string{"source.goSum: is empty"}},
		"a branch":  {func(s *Subject) { edit(t, s, "coredns", func(i *lock.Image) { i.Source.Version = "master" }) }, []string{`"master" is no version`}},
		"a pseudo-version": {func(s *Subject) {
			edit(t, s, "coredns", func(i *lock.Image) { i.Source.Version = "v0.0.0-20250812222120-0fa2e5e20a6d" })
		}, nil},
		"a tag":                    {upstream("registry.example/x:v1", sum("x")), []string{"is a tag, which may move"}},
		"a digest":                 {upstream("registry.example/x:v1@"+sum("x"), sum("x")), nil},
		"a digest of another":      {upstream("registry.example/x:v1@"+sum("y"), sum("x")), []string{"is pinned at " + sum("y")}},
		"a tag that is unresolved": {func(s *Subject) { unresolve(t, s, "registry.example/x:v1") }, nil},
	})
}

// unresolve makes coredns an upstream image without digests.
func unresolve(t *testing.T, s *Subject, reference string) {
	edit(t, s, "coredns", func(i *lock.Image) {
		i.Source, i.Index, i.Platforms, i.Unresolved = lock.Source{Reference: reference}, "", nil, "no network here"
	})
}

func TestWhatIsUnresolvedIsFound(t *testing.T) {
	judge(t, "unresolved", map[string]ruleCase{
		"all resolved": {func(*Subject) {}, nil},
		"one is not":   {func(s *Subject) { unresolve(t, s, "registry.example/x:v1") }, []string{"coredns@v1.15.0 unresolved: no network here"}},
	})
}

func TestWhatIsNotBuiltForAllIsFound(t *testing.T) {
	judge(t, "built", map[string]ruleCase{
		"all platforms": {func(*Subject) {}, nil},
		"one only":      {func(s *Subject) { edit(t, s, "etcd", func(i *lock.Image) { i.Platforms = i.Platforms[:1] }) }, []string{"etcd@v3.6.16 platforms: not built for linux/arm64"}},
		"zstd only":     {func(s *Subject) { edit(t, s, "etcd", func(i *lock.Image) { i.Platforms[1].Gzip = lock.Form{} }) }, []string{"platforms(linux/arm64).gzip"}},
		"upstream's": {func(s *Subject) {
			edit(t, s, "etcd", func(i *lock.Image) { i.Source.Module, i.Platforms = "", i.Platforms[:1] })
		}, nil},
	})
}

func TestWhatHasNoEvidenceIsFound(t *testing.T) {
	judge(t, "evidence", map[string]ruleCase{
		"all of it": {func(*Subject) {}, nil},
		"none": {func(s *Subject) {
			edit(t, s, "etcd", func(i *lock.Image) { i.Platforms[0].Evidence = lock.Evidence{} })
		}, []string{"platforms(linux/amd64).evidence: there is no spdx, no cyclonedx, no provenance"}},
		"one is not": {func(s *Subject) { edit(t, s, "etcd", func(i *lock.Image) { i.Platforms[1].Evidence.Provenance = "" }) }, []string{"there is no provenance"}},
	})
}

func TestWhatUpstreamNoLongerMendsIsFound(t *testing.T) {
	judge(t, "support", map[string]ruleCase{
		"supported":              {func(*Subject) {}, nil},
		"on its last day":        {func(s *Subject) { edit(t, s, "kubelet", func(i *lock.Image) { i.Supported = "2026-11-22" }) }, nil},
		"the day after":          {func(s *Subject) { edit(t, s, "kubelet", func(i *lock.Image) { i.Supported = "2026-11-21" }) }, []string{"kubelet@v1.36.3 supported: upstream's support ended with 2026-11-21"}},
		"Kubernetes without one": {func(s *Subject) { edit(t, s, "kubelet", func(i *lock.Image) { i.Supported = "" }) }, []string{"kubelet@v1.36.3 supported: is empty"}},
		"others without one":     {func(s *Subject) { edit(t, s, "etcd", func(i *lock.Image) { i.Supported = "" }) }, nil},
	})
}
