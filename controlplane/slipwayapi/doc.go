// Package slipwayapi serves what Magnum's API has no words for: a cluster's nodes as they report
// themselves, and remote actions on them.
//
//	GET  /slipway/v1/clusters/{cluster}/nodes        the nodes of a cluster
//	GET  /slipway/v1/nodes/{node}                    one node, with signals, images and actions
//	GET  /slipway/v1/nodes/{node}/actions            its newest actions
//	POST /slipway/v1/nodes/{node}/actions            ask for an action: 202
//	GET  /slipway/v1/nodes/{node}/actions/{action}   one action; wait=30s with If-None-Match waits for a change
//	GET  /slipway/v1/nodes/{node}/actions/{action}/archive   its support archive
//
// A cluster is named by UUID or name, a node by UUID or, when only one of the project's nodes has
// it, by name. Errors are in Magnum's form.
package slipwayapi
