// Package templates holds the cluster templates that slipwayd has built in.
package templates
