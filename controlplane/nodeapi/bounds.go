package nodeapi

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"slipway.build/slipway/agent/protocol"
)

// Limits of the parts of a signal in bytes. Longer texts are cut, not refused: a report that comes
// late is better than none.
const (
	maxReason  = 8 << 10
	maxLog     = 8 << 10
	maxWaiting = 1 << 10
	maxOutputs = 64 << 10
	maxDigest  = 80
)

// bounded returns the signal with what belongs to its phase, in the sizes that are kept.
func bounded(signal protocol.Signal) protocol.Signal {
	signal.Reason, signal.Log = cut(signal.Reason, maxReason), cutFront(signal.Log, maxLog)
	signal.Actor, signal.PlanDigest = cut(signal.Actor, maxActor), cut(signal.PlanDigest, maxDigest)
	if signal.Phase != protocol.Observed {
		signal.Conditions = nil
	}
	if signal.Phase != protocol.Acted {
		signal.Action = nil
	}
	if signal.Progress != nil {
		progress := *signal.Progress
		progress.Waiting = cut(progress.Waiting, maxWaiting)
		signal.Progress = &progress
	}
	if text, err := json.Marshal(signal.Outputs); err != nil || len(text) > maxOutputs {
		signal.Outputs = nil
	}
	return signal
}

// cut returns at most limit bytes of the beginning of text.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return strings.ToValidUTF8(text, "�")
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

// cutFront returns at most limit bytes of the end of text, which of a log is what counts.
func cutFront(text string, limit int) string {
	if len(text) > limit {
		text = text[len(text)-limit:]
	}
	if utf8.ValidString(text) {
		return text
	}
	return strings.ToValidUTF8(text, "")
}
