// Package cgroup gives a process tree a cgroup of its own in every hierarchy of this machine:
// cgroup v1 controllers, the v1 hybrid with its empty v2 hierarchy, and pure v2. The group
// holds limits, and it is the only thing that says for certain which processes belong to a
// node, whatever they forked and whoever their parents are.
package cgroup
