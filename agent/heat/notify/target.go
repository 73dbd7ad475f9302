package notify

import (
	"slipway.build/slipway/agent/heat/keystone"
	"slipway.build/slipway/agent/heat/metadata"
)

// Transport is a way to signal.
type Transport string

// Transports, by the names that deploy_signal_transport has (heat, software_deployment.py).
const (
	None    Transport = "NO_SIGNAL"
	Heat    Transport = "HEAT_SIGNAL"
	CFN     Transport = "CFN_SIGNAL"
	TempURL Transport = "TEMP_URL_SIGNAL"
	Zaqar   Transport = "ZAQAR_SIGNAL"
)

// Target is where the signal of a deployment goes. Its credentials are the deployment's own: the
// server's user may not signal.
type Target struct {
	Transport   Transport            `json:"transport"`
	URL         string               `json:"url,omitempty"`  // signed beforehand
	Verb        string               `json:"verb,omitempty"` // POST or PUT
	Credentials keystone.Credentials `json:"credentials,omitzero"`
	Region      string               `json:"region,omitempty"`
	Stack       string               `json:"stack,omitempty"` // name/uuid
	Resource    string               `json:"resource,omitempty"`
	Queue       string               `json:"queue,omitempty"`
}

// TargetOf reads a deployment's inputs. What the inputs hold decides, as in heat-config-notify,
// unless deploy_signal_transport says that there is to be no signal: a name without what it needs
// would be no help.
func TargetOf(d metadata.Deployment) Target {
	t := Target{
		URL: d.Input("deploy_signal_id"), Verb: d.Input("deploy_signal_verb"), Queue: d.Input("deploy_queue_id"),
		Credentials: keystone.Credentials{
			AuthURL: d.Input("deploy_auth_url"), UserID: d.Input("deploy_user_id"),
			Password: d.Input("deploy_password"), ProjectID: d.Input("deploy_project_id"),
		},
		Region: d.Input("deploy_region_name"), Stack: d.Input("deploy_stack_id"), Resource: d.Input("deploy_resource_name"),
	}
	switch named := Transport(d.Input("deploy_signal_transport")); {
	case named == None:
		return Target{Transport: None}
	case t.URL != "" && t.Verb == "PUT":
		t.Transport = TempURL
	case t.URL != "":
		t.Transport, t.Verb = CFN, "POST"
	case t.Queue != "" && t.Credentials.AuthURL != "":
		t.Transport = Zaqar
	case t.Credentials.AuthURL != "" && t.Stack != "" && t.Resource != "":
		t.Transport = Heat
	default:
		return Target{Transport: None}
	}
	return t
}

// Repeatable reports whether saying it again is safe and may help. Heat ignores a signal for a
// deployment that is not in progress. A message left in a queue would answer for the next action.
func (t Target) Repeatable() bool { return t.Transport != Zaqar && t.Transport != None }
