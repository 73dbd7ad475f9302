package component

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"
)

// durations is how long images took on this machine when they were built in full: seconds by
// "name linux/amd64". It is a guess for people and decides nothing.
type durations struct{ file string }

func (d durations) read() map[string]float64 {
	all := map[string]float64{}
	b, err := os.ReadFile(d.file)
	if err == nil {
		_ = json.Unmarshal(b, &all) // a damaged file is as good as none
	}
	return all
}

// record adds one duration; of two processes at once one may lose its own.
func (d durations) record(name string, took time.Duration) {
	all := d.read()
	all[name] = took.Round(time.Second / 10).Seconds()
	if b, err := json.MarshalIndent(all, "", "  "); err == nil {
		_ = writeChanged(d.file, b)
	}
}

func openDurations(cacheDir string) durations {
	return durations{filepath.Join(cacheDir, "durations.json")}
}

// unknownDuration is assumed for an image that was never built here: the middle of those that
// were when this was written.
const unknownDuration = 60.0

// estimate tells how much of a run is left. The reporter serializes it.
type estimate struct {
	known    map[string]float64
	parallel float64
	left     map[string]float64 // seconds expected, by event name; what has ended is not in it
	total    int
}

func newEstimate(known map[string]float64, parallel int) *estimate {
	return &estimate{known: known, parallel: float64(parallel), left: map[string]float64{}}
}

func (e Event) name() string { return e.Image + "@" + e.Version + " " + e.Platform }

func (s *estimate) observe(e Event) {
	name := e.name()
	_, queued := s.left[name]
	switch {
	case e.Phase == Queued:
		s.total++
		s.left[name] = s.expected(e)
	case e.Phase.ended():
		delete(s.left, name)
	case queued:
		s.left[name] = max(s.expected(e)-e.Elapsed.Seconds(), 1)
	}
}

// expected is what this image took, or the same on another platform.
func (s *estimate) expected(e Event) float64 {
	for _, p := range append([]string{e.Platform}, Platforms()...) {
		if took, found := s.known[e.Image+"@"+e.Version+" "+p]; found {
			return took
		}
	}
	return unknownDuration
}

func (s *estimate) state() (done, total int, remaining time.Duration) {
	sum := 0.0
	for _, seconds := range s.left {
		sum += seconds
	}
	return s.total - len(s.left), s.total, time.Duration(sum / max(s.parallel, 1) * float64(time.Second))
}
