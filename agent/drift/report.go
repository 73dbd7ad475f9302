package drift

import (
	"context"
	"fmt"
	"strings"
	"time"

	"slipway.build/slipway/agent/protocol"
)

// Type is the type of the condition.
const Type = "Drift"

// told bounds the changes that a condition's message names.
const told = 5

// tally remembers what was repaired since the agent began.
type tally struct {
	count int
	last  string
	at    time.Time
	aside map[identity]bool // what was moved aside already, under another name
}

func (t *tally) repaired(change *Change, now time.Time) {
	t.count++
	t.last, t.at = change.String(), now
}

func (t *tally) isAside(inode identity) bool { return t.aside[inode] }

func (t *tally) asideOf(inode identity) {
	if t.aside == nil {
		t.aside = map[identity]bool{}
	}
	t.aside[inode] = true
}

// report sets the node's condition: true while something is not as the plan says.
func (g *Guard) report(changes []*Change) {
	condition := protocol.Condition{Type: Type, Status: "False", Reason: "AsPlanned", Message: "everything is as the plan says"}
	if g.tally.count > 0 {
		condition.Reason = "Repaired"
		condition.Message = fmt.Sprintf("everything is as the plan says; %d repairs since the agent began, the last at %s: %s",
			g.tally.count, g.tally.at.UTC().Format(time.RFC3339), g.tally.last)
	}
	if len(changes) > 0 {
		condition.Status, condition.Reason = "True", "Changed"
		var texts []string
		for i, change := range changes {
			if i == told {
				texts = append(texts, fmt.Sprintf("and %d more", len(changes)-told))
				break
			}
			texts = append(texts, change.String())
		}
		condition.Message = strings.Join(texts, "; ")
	}
	g.say(condition)
}

// say keeps the condition for whoever looks, and tells the board at once of what is news: trouble,
// its end, and repairs. That all is well from the beginning is none.
func (g *Guard) say(condition protocol.Condition) {
	g.mu.Lock()
	news := condition != g.said && (condition.Status != "False" || condition.Reason == "Repaired" || g.said.Status == "True")
	g.said = condition
	g.mu.Unlock()
	if news {
		g.Board.Set(condition)
	}
}

// Look implements conditions.Source with what was said last.
func (g *Guard) Look(context.Context) []protocol.Condition {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.said.Type == "" {
		return nil
	}
	return []protocol.Condition{g.said}
}

// Every implements conditions.Source.
func (g *Guard) Every() time.Duration { return Every }
