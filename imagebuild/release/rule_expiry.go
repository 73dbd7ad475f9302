package release

import "fmt"

// expiryRule wants a lock that nodes still take: agents refuse one outside of its validity.
func expiryRule() Rule {
	return Rule{
		Name: "expired", About: "the lock may be applied today", Binding: true,
		find: func(s *Subject) []Finding {
			const remedy = "issue it anew: slipway images lock --renew"
			expires := s.Lock.ExpiresAt()
			if !expires.IsZero() && !s.Now.Before(expires) {
				return []Finding{{Field: "expires", Problem: fmt.Sprintf("it ended at %s", s.Lock.Expires), Remedy: remedy}}
			}
			if s.Now.Before(s.Lock.IssuedAt()) {
				return []Finding{{Field: "issued", Problem: fmt.Sprintf("it begins at %s only", s.Lock.Issued), Remedy: "set this machine's clock, or wait"}}
			}
			return nil
		},
	}
}
