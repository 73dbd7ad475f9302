package store

import "sync"

// The topics of transactions' wake-ups.
const (
	// TopicOperations is told of new and released operations.
	TopicOperations = "operations"
	// TopicEvents is told of new events of any cluster.
	TopicEvents = "events"
	// TopicActions is told of new actions of any node.
	TopicActions = "actions"
)

// ActionTopic is told when the action with that id has changed.
func ActionTopic(id string) string { return "action:" + id }

// StackTopic is told when the stack with that id, or a stack nested in it, has changed.
func StackTopic(id string) string { return "stack:" + id }

// NodeTopic is told of a node's new plan, join or signal.
func NodeTopic(id string) string { return "node:" + id }

// Subscription is woken by the topics it was made for. Wake-ups coalesce and carry nothing:
// read the state again after each.
type Subscription struct {
	// C receives after a commit that notified one of the topics.
	C      <-chan struct{}
	c      chan struct{}
	hub    *hub
	topics []string
	once   sync.Once
}

// Subscribe returns a subscription to the topics. Subscribe first, then read the state, then
// wait: so no change is missed. Wake-ups stay inside this process.
func (s *Store) Subscribe(topics ...string) *Subscription {
	c := make(chan struct{}, 1)
	sub := &Subscription{C: c, c: c, hub: s.hub, topics: topics}
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	for _, t := range topics {
		if s.hub.subs[t] == nil {
			s.hub.subs[t] = map[*Subscription]struct{}{}
		}
		s.hub.subs[t][sub] = struct{}{}
	}
	return sub
}

// Close ends the subscription. It may be called more than once.
func (sub *Subscription) Close() {
	sub.once.Do(func() {
		sub.hub.mu.Lock()
		defer sub.hub.mu.Unlock()
		for _, t := range sub.topics {
			delete(sub.hub.subs[t], sub)
			if len(sub.hub.subs[t]) == 0 {
				delete(sub.hub.subs, t)
			}
		}
	})
}

type hub struct {
	mu   sync.Mutex
	subs map[string]map[*Subscription]struct{}
}

func newHub() *hub { return &hub{subs: map[string]map[*Subscription]struct{}{}} }

func (h *hub) notify(topics []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range topics {
		for sub := range h.subs[t] {
			select {
			case sub.c <- struct{}{}:
			default: // already woken and not yet looked
			}
		}
	}
}
