// Package cloud says what a cloud has to do for the orchestration engine: make, await and
// delete objects of named resource types. Drivers are the packages below it (local,
// openstack, sim); resource types that need no cloud (deployments, authorities) implement
// the same interface beside the conductor.
package cloud

import "context"

// Type is one resource type, such as OS::Nova::Server. All methods must be safe to call
// again with the same Request.Key after a crash at any instant: Create finds what an earlier
// call with that key made, Delete of what is gone succeeds.
type Type interface {
	// Schema lists the properties and attributes that templates may use.
	Schema() Schema
	// Create makes the object, or finishes making it, and returns it. Errors are fault kinds;
	// an unmarked error counts as retriable until the resource's deadline.
	Create(ctx context.Context, req Request) (Object, error)
	// Delete removes the object and everything that Create left half done.
	Delete(ctx context.Context, req Request) error
}

// Awaiter is a Type whose objects are complete only after something outside the cloud has
// happened, such as a node's signal. Await runs after Create, may take minutes and does not
// count against the bound on cloud calls in flight. The returned object replaces Create's.
type Awaiter interface {
	Await(ctx context.Context, req Request) (Object, error)
}

// Request names the object and carries its resolved properties.
type Request struct {
	// Key is unique to the resource and stable over retries and restarts: a UUID.
	Key string
	// Physical is the object's id in the cloud, when an earlier Create has returned it.
	Physical   string
	Cluster    string // UUID of the cluster
	Project    string
	Stack      string // name of the stack, for object names that people see
	Name       string // logical name in the template
	Properties map[string]any
	// Report shows an intermediate state to the tenant: an event with this reason.
	Report func(status, reason string)
}

// Object is what exists in the cloud.
type Object struct {
	Physical   string         // id in the cloud; Request.Key where the cloud has none of its own
	Attributes map[string]any // what get_attr sees; plain JSON values, nothing secret
}

// Schema describes a type to the template validator.
type Schema struct {
	Properties []Property
	Attributes []string
}

// Property is one property of a type.
type Property struct {
	Name     string
	Kind     Kind
	Required bool
	Default  any
}

// Kind is the JSON kind of a property.
type Kind string

// The kinds of properties.
const (
	String  Kind = "string"
	Number  Kind = "number"
	Boolean Kind = "boolean"
	List    Kind = "list"
	Map     Kind = "map"
)

// Driver is a set of types.
type Driver interface {
	// Type returns the type of that name, or false when the driver has none.
	Type(name string) (Type, bool)
	// Keypair returns the public key in authorized_keys form, or an error that
	// errors.Is(err, ErrNotFound).
	Keypair(ctx context.Context, project, name string) (string, error)
	// Flavor returns the named or identified flavor, or an error that errors.Is(err, ErrNotFound).
	Flavor(ctx context.Context, nameOrID string) (Flavor, error)
}

// Flavor is a size of server.
type Flavor struct {
	ID, Name string
	VCPUs    int
	RAM      int // MiB
	Disk     int // GiB
}
