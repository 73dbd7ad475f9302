package protocol

// ActionDelivery is a remote action on its way to a node. Envelope is DSSE JSON around the
// request (package action). The lock is the one that the request names, if it names one.
type ActionDelivery struct {
	Envelope      []byte `json:"envelope"`
	LockBytes     []byte `json:"lock,omitempty"`
	LockSignature []byte `json:"lockSignature,omitempty"`
}

// Acted is no phase of a deployment: the signal answers a remote action, and its deployment is
// empty.
const Acted Phase = "action"

// ActionStatus is how far a node is with an action.
type ActionStatus string

// The statuses of an action; all but the first end it.
const (
	ActionStarted ActionStatus = "started"
	ActionDone    ActionStatus = "done"
	ActionFailed  ActionStatus = "failed"
	ActionRefused ActionStatus = "refused" // it was not begun; the signal's reason says why
	ActionExpired ActionStatus = "expired" // it came, or its turn came, too late
)

// ActionAnswer is what a node says of an action.
type ActionAnswer struct {
	ID     string       `json:"id"`
	Status ActionStatus `json:"status"`
	// Results are what was done or found, one for each thing.
	Results []ActionResult `json:"results,omitempty"`
	// Output is text such as the lines of a log, secrets redacted; at most 64 KiB.
	Output string `json:"output,omitempty"`
}

// ActionResult is one thing that an action did or found.
type ActionResult struct {
	Name    string `json:"name"`
	Status  string `json:"status"` // "ok", "trouble" or "unknown"
	Message string `json:"message,omitempty"`
}

// The statuses of a result.
const (
	ResultOK      = "ok"
	ResultTrouble = "trouble"
	ResultUnknown = "unknown"
)

// The largest parts of an answer that leave a node.
const (
	MaxActionOutput  = 64 << 10 // bytes
	MaxActionResults = 256
)

// MaxArchive bounds a support archive in bytes.
const MaxArchive = 64 << 20
