// Package apiclient speaks to slipwayd over HTTP: the Magnum API v1 and the read side of
// Heat's API. It turns their error bodies into errors that an operator can act on and adds
// nothing of its own to what the API says.
package apiclient
