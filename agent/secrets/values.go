package secrets

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// maxValue bounds what is read of one value: longer ones are no words of a log.
const maxValue = 64 << 10

// tokenPattern finds the parts of a value that are secret by themselves: keys and lines of PEM.
const tokenPattern = `[A-Za-z0-9+/=_-]{16,}`

// Values returns what must not be seen of the values in Dir: each whole, and those of its parts
// that look random, because a program may write just a line of it.
func (k *Keeper) Values() []string {
	paths, err := filepath.Glob(filepath.Join(k.Dir, "*@*"))
	if err != nil || len(paths) == 0 {
		return nil
	}
	token := regexp.MustCompile(tokenPattern)
	var out []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || info.Size() > maxValue {
			continue
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it was collected just now
		}
		value := strings.TrimSpace(string(raw))
		out = append(out, value)
		for _, part := range token.FindAllString(value, -1) {
			if part != value && strings.ContainsAny(part, "0123456789+/=") {
				out = append(out, part)
			}
		}
	}
	return out
}
