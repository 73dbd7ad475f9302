// Package pipeline runs a graph of stages. A stage declares its inputs and its outputs; its result
// is kept under a key made of its name, its version and the digests of its inputs, so that a stage
// whose inputs are as before is not run again, on any day, in any run, whoever killed the last
// one. Outputs are kept by their content, outside of the work tree. Stages that need nothing of
// each other run side by side; one that fails stops what depends on it and nothing else.
package pipeline
