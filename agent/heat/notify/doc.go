// Package notify tells Heat how a deployment ended, by the transport that the deployment names:
// Heat's own API, a signed address of its CloudFormation API, a temporary URL of Swift, a queue
// of Zaqar, or not at all. It sends once; that what is not accepted is sent again is the ledger's
// and Heat mode's duty.
package notify
