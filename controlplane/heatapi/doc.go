// Package heatapi serves the read side of OpenStack Heat's API, version 1: stacks, resources and
// events as `openstack stack …`, the cluster autoscaler and the auto-healer read them. Beyond
// Heat's fields an event names its actor, and a stack has a graph.
package heatapi
