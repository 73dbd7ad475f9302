// Package act does remote actions on the node. Each request is verified, journalled before it
// begins, done at most once and answered by a signal; what a kind does is in a file of its own.
//
// A request that is delivered goes through these steps:
//
//	delivered -> refused (signature, node, kind, arguments, replay) | expired
//	          -> accepted -> refused (a plan has the turn) | expired
//	                      -> begun -> ended (done or failed)
//
// An agent that finds a begun action when it starts does it again when its kind is repeatable,
// and otherwise reports it as interrupted. A reboot that was begun in an earlier boot is done.
package act
