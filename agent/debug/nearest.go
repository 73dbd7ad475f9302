package debug

import (
	"slices"
	"strings"
)

// nearest returns up to three of the names that somebody who wrote name may have meant, the
// likeliest first.
func nearest(name string, names []string) []string {
	type candidate struct {
		name     string
		distance int
	}
	name = short(name)
	limit := max(2, len(name)/3)
	var found []candidate
	for _, other := range names {
		d := distance(name, other)
		if strings.Contains(other, name) || strings.Contains(name, other) {
			d = min(d, 1)
		}
		if d <= limit && !slices.ContainsFunc(found, func(c candidate) bool { return c.name == other }) {
			found = append(found, candidate{other, d})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return a.distance - b.distance })
	var out []string
	const shown = 3
	for i := range min(shown, len(found)) {
		out = append(out, found[i].name)
	}
	return out
}

// distance is the number of single bytes to insert, delete or replace to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
