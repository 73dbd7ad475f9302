package report

import (
	"slices"

	"slipway.build/slipway/ci/pipeline"
)

// The sizes of the graph's parts, in units of its view box: as wide as a phone.
const (
	graphWidth = 360
	boxHeight  = 30
	rowHeight  = 58
	perRow     = 4
	boxGap     = 8
)

// graph is the stages as boxes in rows, each below what it needs.
type graph struct {
	Width, Height int
	Boxes         []box
	Lines         []line
}

// box is one stage.
type box struct {
	Name         string
	State        pipeline.State
	X, Y, W, H   int
	TextX, TextY int
}

// line goes from the lower edge of a box to the upper edge of one that needs it.
type line struct{ X1, Y1, X2, Y2, Bend int }

// layout places the stages, which come after what they need.
func layout(stages []Stage) graph {
	depth := map[string]int{}
	deepest := 0
	for _, s := range stages {
		for _, n := range s.After {
			depth[s.Name] = max(depth[s.Name], depth[n]+1)
		}
		deepest = max(deepest, depth[s.Name])
	}
	g := graph{Width: graphWidth}
	at := map[string]box{}
	y := 4
	for d := 0; d <= deepest; d++ {
		var level []Stage
		for _, s := range stages {
			if depth[s.Name] == d {
				level = append(level, s)
			}
		}
		for row := range slices.Chunk(level, perRow) {
			w := min(112, (graphWidth-boxGap*(len(row)+1))/len(row))
			left := (graphWidth - len(row)*w - (len(row)-1)*boxGap) / 2
			for i, s := range row {
				b := box{Name: s.Name, State: s.State, X: left + i*(w+boxGap), Y: y, W: w, H: boxHeight}
				b.TextX, b.TextY = b.X+w/2, y+boxHeight/2+4
				at[s.Name] = b
				g.Boxes = append(g.Boxes, b)
			}
			y += rowHeight
		}
	}
	g.Height = y - rowHeight + boxHeight + 4
	for _, s := range stages {
		to := at[s.Name]
		for _, n := range direct(stages, s) {
			from := at[n]
			g.Lines = append(g.Lines, line{from.TextX, from.Y + boxHeight, to.TextX, to.Y, (from.Y + boxHeight + to.Y) / 2})
		}
	}
	return g
}

// direct leaves out what a stage needs of another one that it needs anyway.
func direct(stages []Stage, s Stage) []string {
	before := map[string]map[string]bool{}
	for _, o := range stages {
		all := map[string]bool{}
		for _, n := range o.After {
			all[n] = true
			for m := range before[n] {
				all[m] = true
			}
		}
		before[o.Name] = all
	}
	var out []string
	for _, n := range s.After {
		if !slices.ContainsFunc(s.After, func(m string) bool { return before[m][n] }) {
			out = append(out, n)
		}
	}
	return out
}
