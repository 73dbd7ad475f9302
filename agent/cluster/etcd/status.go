package etcd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

const statusPath = "/v3/maintenance/status"

type answerOfStatus struct {
	Header  header   `json:"header"`
	Version string   `json:"version"`
	Size    int64    `json:"dbSize,string"`
	InUse   int64    `json:"dbSizeInUse,string"`
	Quota   int64    `json:"dbSizeQuota,string"`
	Leader  uint64   `json:"leader,string"`
	Term    uint64   `json:"raftTerm,string"`
	Index   uint64   `json:"raftIndex,string"`
	Applied uint64   `json:"raftAppliedIndex,string"`
	Errors  []string `json:"errors"`
	Learner bool     `json:"isLearner"`
}

// Status is how the member of this node is. It is cheap to ask for: one read that a quorum
// confirms and one question that the member answers alone; neither writes anything.
type Status struct {
	Member, Leader string // ids in hexadecimal; Leader is empty when there is none
	Learner        bool
	Version        string
	// Read is how long a linearizable read took; ReadError, when not nil, is why there was none
	// (after 3 s at the latest).
	Read      time.Duration
	ReadError error
	// Size, InUse and Quota of the store, in bytes. Quota is 0 when the member does not tell.
	Size, InUse, Quota int64
	// Term grows with every election, so a difference between two looks counts the changes of
	// leader between them (and the elections that failed).
	Term uint64
	// Behind is how many entries of the log are not applied yet.
	Behind uint64
	// Alarms are the raised ones, "NOSPACE" or "CORRUPT", each with its member's id.
	Alarms []Alarm
	// Errors are what else the member complains about.
	Errors []string
}

// Alarm is one raised alarm; Member is empty for one that was raised for no member.
type Alarm struct{ Kind, Member string }

// Status asks the member how it is. The error is that of a member that does not answer at all.
func (c *Client) Status(ctx context.Context) (Status, error) {
	began := time.Now()
	in := map[string]any{"key": []byte("health"), "count_only": true}
	readErr := c.callWithin(ctx, probeTimeout, c.endpoint, "/v3/kv/range", in, &struct{}{})
	read := time.Since(began)
	var s answerOfStatus
	if err := c.call(ctx, c.endpoint, statusPath, struct{}{}, &s); err != nil {
		return Status{}, fmt.Errorf("ask etcd for its status: %w", err)
	}
	out := Status{
		Member: id(s.Header.Member), Learner: s.Learner, Version: s.Version, Read: read, ReadError: readErr,
		Size: s.Size, InUse: s.InUse, Quota: s.Quota, Term: s.Term, Behind: s.Index - min(s.Index, s.Applied),
	}
	if s.Leader != 0 {
		out.Leader = id(s.Leader)
	}
	for _, complaint := range s.Errors {
		if alarm, ok := parseAlarm(complaint); ok {
			out.Alarms = append(out.Alarms, alarm)
		} else {
			out.Errors = append(out.Errors, complaint)
		}
	}
	return out, nil
}

// parseAlarm reads an alarm in the form in which a status has it: memberID:123 alarm:NOSPACE.
func parseAlarm(text string) (Alarm, bool) {
	fields := strings.Fields(text)
	var alarm Alarm
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ":")
		switch name {
		case "memberID":
			var n uint64
			if _, err := fmt.Sscan(value, &n); err != nil {
				return Alarm{}, false
			}
			alarm.Member = id(n)
		case "alarm":
			alarm.Kind = value
		}
	}
	return alarm, len(fields) <= 2 && slices.Contains([]string{"NOSPACE", "CORRUPT"}, alarm.Kind)
}
