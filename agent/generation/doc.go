// Package generation keeps the generations of a node on disk. A generation is staged whole in a
// directory of its own, made durable, and becomes current by one rename of one symbolic link;
// nothing in it changes afterwards, but for the note that a component's state was filled. What
// two generations differ in, unit by unit, says what has to be restarted.
//
//	generations/<n>/plan.json       the plan's canonical bytes
//	generations/<n>/delivery.json   envelope, lock and signature, to check it all again offline
//	generations/<n>/files/…         configuration files
//	generations/<n>/units/…         unit files
//	generations/<n>/exec/<unit>.json
//	generations/<n>/roots/<image>/  hard links into the image store, and mount points
//	generations/<n>/start           names of the units to start, one a line
//	failed/<n>.json                 what the plan that failed last came with
package generation
