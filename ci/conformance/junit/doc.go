// Package junit reads the JUnit XML report that a run of Kubernetes' e2e tests writes: the name
// and the outcome of each test, nothing else. A report is foreign bytes: it is bounded in size,
// in the number of tests and in the length of what is kept, and one that ends early is refused.
package junit
