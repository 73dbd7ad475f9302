package plan

// Where things are on a node. Units and components refer to a generation only through
// Current, so that one rename switches all of them.
const (
	Root        = "/var/lib/slipway"
	Current     = Root + "/current"          // symlink to generations/<number>
	Generations = Root + "/generations"      // generations/<number>/{plan.json,files,exec,units,roots}
	Images      = Root + "/images"           // the verified store
	PKI         = Root + "/pki"              // pki/<certificate>/{tls.key,tls.crt}
	Secrets     = Root + "/secrets"          // secrets/<name>@<version>
	StateDir    = Root + "/state"            // journal, outbox, identity
	AgentConfig = "/etc/slipway/agent.yaml"  // from Ignition
	AgentBinary = "/usr/bin/slipway-agent"   // from the OS layer
	TrustDir    = "/usr/share/slipway/trust" // lock.pub: PEM public keys that sign locks
	BakedLock   = "/usr/share/slipway/lock"  // images.yaml and images.yaml.sig
	ExecInRoot  = "/slipway-exec"            // where a component's root sees ExecBinary
	SpecInRoot  = "/exec.json"               // where a component's root sees its exec file
	ImportTool  = "/usr/libexec/slipway/slipway-import"
	// ExecBinary supervises a component; a component's root sees it as ExecInRoot.
	ExecBinary = "/usr/libexec/slipway/slipway-exec"
	// ImageVerifier tells the pods' runtime which images pods may use; the runtime finds it by its entry
	// in ImageVerifiers, a directory of nothing else.
	ImageVerifier  = "/usr/libexec/slipway/slipway-image-verifier"
	ImageVerifiers = "/usr/libexec/slipway/image-verifiers"
	// ImagePolicy is what the plan says about the images of pods. No plan has it whose cluster has no verifier.
	ImagePolicy = Current + "/files/containerd/image-policy.json"
)
