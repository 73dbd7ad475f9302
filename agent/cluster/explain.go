package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// explainTimeout bounds the search for a reason, after the time for the thing itself has passed.
const explainTimeout = 5 * time.Second

// explain tells, from its pods and events, why an object is not ready; it begins with "; " or is
// empty.
func (c *Client) explain(ctx context.Context, id identity) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), explainTimeout)
	defer cancel()
	var out []string
	if reason := c.podsReason(ctx, id); reason != "" {
		out = append(out, reason)
	}
	if event := c.lastWarning(ctx, id); event != "" {
		out = append(out, "last warning: "+event)
	}
	if len(out) == 0 {
		return ""
	}
	return "; " + strings.Join(out, "; ")
}

// podsReason says what keeps the first of the object's pods that is not ready.
func (c *Client) podsReason(ctx context.Context, id identity) string {
	var workload struct {
		Spec struct {
			Selector struct {
				MatchLabels map[string]string `json:"matchLabels"`
			} `json:"selector"`
		} `json:"spec"`
	}
	path := id.collection(watched(id.kind)) + "/" + url.PathEscape(id.name)
	if err := c.request(ctx, http.MethodGet, path, "", nil, &workload); err != nil || len(workload.Spec.Selector.MatchLabels) == 0 {
		return ""
	}
	var labels []string
	for name, value := range workload.Spec.Selector.MatchLabels {
		labels = append(labels, name+"="+value)
	}
	slices.Sort(labels)
	pods := identity{version: "v1", namespace: id.namespace}.collection(resource{Name: "pods", Namespaced: true})
	var reason string
	_ = list(ctx, c, pods, url.Values{"labelSelector": {strings.Join(labels, ",")}}, func(p *pod) bool {
		reason = p.waiting()
		return reason == ""
	})
	return reason
}

// lastWarning returns the newest event of type Warning about the object or what it has made.
func (c *Client) lastWarning(ctx context.Context, id identity) string {
	if id.namespace == "" {
		return ""
	}
	var newest, text string
	events := identity{version: "v1", namespace: id.namespace}.collection(resource{Name: "events", Namespaced: true})
	_ = list(ctx, c, events, url.Values{"fieldSelector": {"type=Warning"}}, func(e *struct {
		InvolvedObject struct{ Kind, Name string } `json:"involvedObject"`
		Reason         string                      `json:"reason"`
		Message        string                      `json:"message"`
		LastTimestamp  string                      `json:"lastTimestamp"`
		EventTime      string                      `json:"eventTime"`
	}) bool {
		about := e.InvolvedObject
		if about.Name != id.name && !strings.HasPrefix(about.Name, id.name+"-") {
			return true
		}
		at := max(e.LastTimestamp, e.EventTime)
		if at >= newest {
			newest, text = at, fmt.Sprintf("%s %s: %s: %s", about.Kind, about.Name, e.Reason, e.Message)
		}
		return true
	})
	return text
}

// pod is what is read of a pod.
type pod struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Volumes []struct {
			EmptyDir json.RawMessage `json:"emptyDir"`
		} `json:"volumes"`
	} `json:"spec"`
	Status struct {
		Phase      string            `json:"phase"`
		Conditions []conditionState  `json:"conditions"`
		Init       []containerStatus `json:"initContainerStatuses"`
		Containers []containerStatus `json:"containerStatuses"`
	} `json:"status"`
}

type containerStatus struct {
	Name  string `json:"name"`
	State struct {
		Waiting    *struct{ Reason, Message string } `json:"waiting"`
		Terminated *struct {
			Reason   string `json:"reason"`
			Message  string `json:"message"`
			ExitCode int    `json:"exitCode"`
		} `json:"terminated"`
	} `json:"state"`
}

func (p *pod) name() string { return p.Metadata.Namespace + "/" + p.Metadata.Name }

// waiting says what a pod that is not ready waits for, or nothing.
func (p *pod) waiting() string {
	for _, c := range append(slices.Clone(p.Status.Init), p.Status.Containers...) {
		switch {
		case c.State.Waiting != nil && c.State.Waiting.Reason != "" && c.State.Waiting.Reason != "PodInitializing":
			return strings.TrimSuffix(fmt.Sprintf("pod %s: container %s: %s: %s", p.name(), c.Name, c.State.Waiting.Reason, c.State.Waiting.Message), ": ")
		case c.State.Terminated != nil && c.State.Terminated.ExitCode != 0:
			return fmt.Sprintf("pod %s: container %s ended with %d (%s)", p.name(), c.Name, c.State.Terminated.ExitCode, c.State.Terminated.Reason)
		}
	}
	for _, condition := range p.Status.Conditions {
		if condition.Status == "False" && (condition.Type == "PodScheduled" || condition.Type == "Ready") && condition.Reason != "PodCompleted" {
			return fmt.Sprintf("pod %s: %s", p.name(), condition)
		}
	}
	return ""
}
