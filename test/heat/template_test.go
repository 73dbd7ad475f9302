//go:build heat

package heat

// Transports, as templates name them.
const (
	pollHeat   = "POLL_SERVER_HEAT"
	pollCFN    = "POLL_SERVER_CFN"
	signalHeat = "HEAT_SIGNAL"
	signalCFN  = "CFN_SIGNAL"
	signalNone = "NO_SIGNAL"
)

// object is a part of a template.
type object = map[string]any

// template is a stack with one server and what is deployed to it, in that order.
type template struct {
	polling     string
	deployments []deployment
}

// deployment is one deployment with its configuration.
type deployment struct {
	name    string
	group   string // script when empty
	config  any
	signal  string   // HEAT_SIGNAL when empty
	inputs  []object // declared
	values  object   // given
	outputs []object
	options object
	kind    string // OS::Heat::SoftwareConfig when empty
}

// render makes the template of Heat. Each deployment waits for the one before.
func (t template) render() object {
	resources := object{"server": object{
		"type":       "OS::Heat::DeployedServer",
		"properties": object{"name": "server", "software_config_transport": t.polling},
	}}
	before := "server"
	for _, d := range t.deployments {
		resources[d.name+"_config"] = d.configuration()
		resources[d.name] = d.resource(before)
		before = d.name
	}
	return object{"heat_template_version": "2018-08-31", "resources": resources}
}

func (d deployment) configuration() object {
	kind, key := d.kind, "config"
	if kind == "" {
		kind = "OS::Heat::SoftwareConfig"
	}
	properties := object{}
	switch kind {
	case "OS::Heat::SoftwareComponent":
		key = "configs"
	default:
		if properties["group"] = d.group; d.group == "" {
			properties["group"] = "script"
		}
	}
	properties[key] = d.config
	for name, value := range map[string]any{"inputs": d.inputs, "outputs": d.outputs, "options": d.options} {
		switch v := value.(type) {
		case []object:
			if v != nil {
				properties[name] = v
			}
		case object:
			if v != nil {
				properties[name] = v
			}
		}
	}
	return object{"type": kind, "properties": properties}
}

func (d deployment) resource(before string) object {
	signal := d.signal
	if signal == "" {
		signal = signalHeat
	}
	properties := object{
		"config": object{"get_resource": d.name + "_config"}, "server": object{"get_resource": "server"},
		"name": d.name, "signal_transport": signal, "input_values": d.values,
	}
	if d.values == nil {
		properties["input_values"] = object{}
	}
	kind := "OS::Heat::SoftwareDeployment"
	switch d.kind {
	case "OS::Heat::StructuredConfig":
		kind = "OS::Heat::StructuredDeployment"
	}
	return object{"type": kind, "depends_on": before, "properties": properties}
}
