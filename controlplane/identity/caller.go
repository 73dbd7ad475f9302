package identity

import "context"

// Caller is an authenticated caller of the tenants' APIs.
type Caller struct {
	ProjectID string
	UserID    string
	UserName  string
	Roles     []string
}

// Actor is how the caller is named in events.
func (c Caller) Actor() string { return "user:" + c.UserName }

// ControlPlaneActor is the control plane as an actor in events.
const ControlPlaneActor = "slipwayd"

// NodeActor is how a node is named in events.
func NodeActor(node string) string { return "node:" + node }

type callerKey struct{}

// NewContext returns a context that carries the caller.
func NewContext(ctx context.Context, caller Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// FromContext returns the caller that Require put there. It panics where there is none: a
// handler that serves tenants without Require in front is a defect that must not pass.
func FromContext(ctx context.Context) Caller {
	caller, ok := ctx.Value(callerKey{}).(Caller)
	if !ok {
		panic("identity: a tenant's handler was reached without authentication")
	}
	return caller
}
