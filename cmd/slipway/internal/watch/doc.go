// Package watch follows what happens to one cluster, from the Magnum API and the read side of
// Heat's API, and says it in the words of the progress package: how many resources of the
// graph are done, which are being worked on, and what each node does.
package watch
