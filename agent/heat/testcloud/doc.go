// Package testcloud is an OpenStack for tests of Heat mode: Keystone, Heat, its CloudFormation
// API, Swift and Zaqar, as scripted servers that check what they are sent as strictly as the real
// ones, judge signals by Heat's own rules, and fail when they are told to.
package testcloud
