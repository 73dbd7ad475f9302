// Package action is the contract of remote actions: typed requests to one node to do one thing
// of a closed list, once. A request is signed like a plan and expires. No kind takes a command,
// a path or anything else that would be run or opened as it came: there is no remote shell.
package action
