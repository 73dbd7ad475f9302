// Package api serves OpenStack Magnum's API, version 1, microversions 1.1 to 1.12, as far as
// clusters, templates, certificates and nodegroups go. A request is checked whole before
// anything is written; what it changes is committed in one transaction before the answer.
package api
