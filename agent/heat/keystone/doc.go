// Package keystone gets tokens from OpenStack's identity service (v3, by user id and password,
// scoped to a project) and keeps them until shortly before they expire, so that polling costs a
// token an hour and not one per poll.
package keystone
