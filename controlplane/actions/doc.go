// Package actions keeps the remote actions of nodes: it numbers, signs and stores the requests,
// takes the nodes' answers, lets expire what was not begun in time, tells of each state in the
// cluster's history, and keeps support archives for a while.
//
// The states of an action:
//
//	requested -> delivered -> started -> done | failed
//	requested, delivered -> refused | expired
//	expired -> started, done, failed    when the node tells late that it had begun in time
package actions
