// Package fake is a cloud for tests of the engine and of templates: it makes objects in memory,
// each once by its key, and fails, waits or blocks where a test's script says so.
package fake
