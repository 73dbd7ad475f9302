// Package cache keeps collected documents where os-collect-config kept them, so that what reads
// them there, os-apply-config above all, goes on working: <name>.json is what was collected last,
// <name>.json.orig what was collected first, <name>.json.last what was acted on, and
// os_config_files.json the list of files to merge, in their order.
package cache
