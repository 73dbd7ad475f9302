// Package config reads, writes and compares Ignition configurations, and converts them to older
// versions of the specification when nothing is lost by it.
package config
