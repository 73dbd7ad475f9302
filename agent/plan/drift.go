package plan

// Drift says what the agent does about changes that no plan asked for, by class of file. An empty
// policy is the class's default.
type Drift struct {
	Files    Policy `json:"files,omitempty"`    // configuration files; DriftRepair
	Units    Policy `json:"units,omitempty"`    // unit files and what is started; DriftRepair
	Exec     Policy `json:"exec,omitempty"`     // how components are run; DriftRepair
	Binaries Policy `json:"binaries,omitempty"` // files of images; DriftQuarantine
	// Keys are modes and owners of certificates, keys and secrets, never their contents;
	// DriftRepair. DriftQuarantine is not for them.
	Keys Policy `json:"keys,omitempty"`
}

// Policy is what is done about a change.
type Policy string

// Policies. Each does what the ones before it do, too.
const (
	DriftIgnore     Policy = "ignore"
	DriftReport     Policy = "report"     // a condition of the node
	DriftRepair     Policy = "repair"     // put right within a second, from the signed plan
	DriftQuarantine Policy = "quarantine" // and what was found is kept aside
)

// Or returns the policy, or another one when it is empty.
func (p Policy) Or(other Policy) Policy {
	if p == "" {
		return other
	}
	return p
}

func (v *validation) drift() {
	d := v.plan.Drift
	if d == nil {
		return
	}
	for _, class := range []struct {
		at     string
		policy Policy
	}{{"drift.files", d.Files}, {"drift.units", d.Units}, {"drift.exec", d.Exec}, {"drift.binaries", d.Binaries}, {"drift.keys", d.Keys}} {
		switch class.policy {
		case "", DriftIgnore, DriftReport, DriftRepair:
		case DriftQuarantine:
			if class.at == "drift.keys" {
				v.fail(class.at, string(class.policy), "keys are not moved aside; use repair")
			}
		default:
			v.fail(class.at, string(class.policy), "must be ignore, report, repair or quarantine")
		}
	}
}
