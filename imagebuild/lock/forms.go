package lock

// The forms of a lock's texts, as regular expressions; those of names come from the OCI distribution
// specification and from Go. The published JSON Schema has the same. They are compiled when a lock is
// checked: the agent lives long, and seldom checks one.
const (
	ToolchainForm  = `^go1\.[0-9]+(\.[0-9]+|rc[0-9]+)?$`
	NameForm       = `^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`
	TagForm        = `^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`
	RepositoryForm = `^[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*$`
	MinorForm      = `^1\.[0-9]+$`
	PlatformForm   = `^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?$`
	SumForm        = `^h1:[A-Za-z0-9+/]{43}=$`
	HexForm        = `^[0-9a-f]{64}$`
	DigestForm     = `^sha256:[0-9a-f]{64}$`
)
