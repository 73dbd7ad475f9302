package signal

import (
	"slices"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/redact"
)

// about is what a signal's progress is about: its deployment, or its action.
func about(signal protocol.Signal) string {
	if signal.Action != nil {
		return "action/" + signal.Action.ID
	}
	return signal.Deployment
}

// clean takes secrets out of a signal's texts, and of long ones what is too much; the ends are
// what counts.
func (o *Outbox) clean(signal *protocol.Signal) {
	secrets := o.secrets()
	signal.Reason = tail(redact.Text(signal.Reason, secrets...), maxReason)
	signal.Log = tail(redact.Text(signal.Log, secrets...), maxLog)
	signal.Outputs = cleanOutputs(signal.Outputs, secrets)
	if signal.Action == nil {
		return
	}
	action := *signal.Action
	action.Output = tail(redact.Text(action.Output, secrets...), protocol.MaxActionOutput)
	action.Results = slices.Clone(action.Results)
	if len(action.Results) > protocol.MaxActionResults {
		action.Results = action.Results[:protocol.MaxActionResults]
	}
	for i := range action.Results {
		action.Results[i].Message = tail(redact.Text(action.Results[i].Message, secrets...), maxMessage)
	}
	signal.Action = &action
}

// cleanOutputs returns what tasks found out, each text without secrets and bounded.
func cleanOutputs(outputs map[string]map[string]string, secrets []string) map[string]map[string]string {
	if outputs == nil {
		return nil
	}
	clean := make(map[string]map[string]string, len(outputs))
	for task, found := range outputs {
		clean[task] = make(map[string]string, len(found))
		for name, text := range found {
			clean[task][name] = tail(redact.Text(text, secrets...), maxMessage)
		}
	}
	return clean
}

// tail returns at most limit bytes of the end of text.
func tail(text string, limit int) string {
	if len(text) > limit {
		return text[len(text)-limit:]
	}
	return text
}
