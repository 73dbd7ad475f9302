// Package namespace makes, enters and removes named network namespaces, in the place and
// form of ip-netns(8), so that `ip netns exec` works on them. Threads never stay in a foreign
// namespace: one that cannot be led back is ended.
package namespace
