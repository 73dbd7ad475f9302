package debug

import (
	"fmt"
	"strings"

	"slipway.build/slipway/agent/plan"
)

func fileChange(path string, a, b []plan.File) (FileChange, bool) {
	before, after := fileOf(a, path), fileOf(b, path)
	change := FileChange{Path: path, Change: changeOf(before == nil, after == nil)}
	var old, now plan.File
	if before != nil {
		old = *before
	}
	if after != nil {
		now = *after
	}
	if old == now {
		return change, false
	}
	if old.Mode != now.Mode && before != nil && after != nil {
		change.Mode = old.Mode + " to " + now.Mode
	}
	change.Text = unified(lines(old.Content), lines(now.Content))
	return change, true
}

func fileOf(files []plan.File, path string) *plan.File {
	for i := range files {
		if files[i].Path == path {
			return &files[i]
		}
	}
	return nil
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// around is how many equal lines are shown beside a change.
const around = 3

// maxTable bounds the work of comparing, in pairs of lines; longer texts are shown as replaced.
const maxTable = 4 << 20

// listDiff returns the elements that are gone and new as "-" and "+" lines, in order.
func listDiff(a, b []string) []string {
	var out []string
	for _, e := range edits(a, b) {
		if e.kind != ' ' {
			out = append(out, string(e.kind)+" "+e.text)
		}
	}
	return out
}

type edit struct {
	kind byte // ' ', '-' or '+'
	text string
}

// unified is diff(1)'s unified form without the names.
func unified(a, b []string) string {
	all := edits(a, b)
	var out strings.Builder
	aLine, bLine := 1, 1
	for i := 0; i < len(all); {
		if all[i].kind == ' ' && !nearChange(all, i) {
			aLine, bLine, i = aLine+1, bLine+1, i+1
			continue
		}
		j, aCount, bCount := i, 0, 0
		var hunk strings.Builder
		for ; j < len(all) && (all[j].kind != ' ' || nearChange(all, j)); j++ {
			if all[j].kind != '+' {
				aCount++
			}
			if all[j].kind != '-' {
				bCount++
			}
			hunk.WriteString(string(all[j].kind) + all[j].text + "\n")
		}
		fmt.Fprintf(&out, "@@ -%d,%d +%d,%d @@\n%s", aLine, aCount, bLine, bCount, hunk.String())
		aLine, bLine, i = aLine+aCount, bLine+bCount, j
	}
	return out.String()
}

func nearChange(all []edit, i int) bool {
	for j := max(0, i-around); j <= min(len(all)-1, i+around); j++ {
		if all[j].kind != ' ' {
			return true
		}
	}
	return false
}

// edits is a shortest way from a to b by the longest common subsequence.
func edits(a, b []string) []edit {
	start := 0
	for start < len(a) && start < len(b) && a[start] == b[start] {
		start++
	}
	end := 0
	for end < len(a)-start && end < len(b)-start && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	var out []edit
	for _, line := range a[:start] {
		out = append(out, edit{' ', line})
	}
	out = append(out, middle(a[start:len(a)-end], b[start:len(b)-end])...)
	for _, line := range a[len(a)-end:] {
		out = append(out, edit{' ', line})
	}
	return out
}

func middle(a, b []string) []edit {
	var out []edit
	if len(a)*len(b) > maxTable {
		for _, line := range a {
			out = append(out, edit{'-', line})
		}
		for _, line := range b {
			out = append(out, edit{'+', line})
		}
		return out
	}
	// common[i][j] is the length of the longest common subsequence of a[i:] and b[j:].
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, edit{' ', a[i]})
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || common[i+1][j] >= common[i][j+1]):
			out = append(out, edit{'-', a[i]})
			i++
		default:
			out = append(out, edit{'+', b[j]})
			j++
		}
	}
	return out
}
