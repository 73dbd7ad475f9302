// Package rest is how Heat mode speaks HTTP: bounded answers, statuses as errors, no redirect that
// would carry a token to another host, and certificate authorities that may arrive after the agent
// has started.
package rest
