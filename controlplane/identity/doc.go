// Package identity says who a caller of the tenants' APIs is: the project and user that own
// what the caller makes, and the actor that stands beside every event. Authenticators are the
// border where Keystone goes; None, the only one so far, serves a single project on loopback.
package identity
