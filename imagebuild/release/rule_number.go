package release

import "fmt"

// numberRule wants numbers that grow: a node refuses a lock with a lower number than one that it has
// accepted, and two locks with one number would be told apart by nobody.
func numberRule() Rule {
	return Rule{
		Name: "number", About: "the lock has a higher number than the one that clusters are on", Binding: true,
		find: func(s *Subject) []Finding {
			if s.From == nil || s.Lock.Number > s.From.Number {
				return nil
			}
			if s.Lock.Number == s.From.Number {
				before, err1 := s.From.Digest()
				after, err2 := s.Lock.Digest()
				if err1 == nil && err2 == nil && before == after {
					return nil
				}
			}
			return []Finding{{
				Field: "number", Problem: fmt.Sprintf("%d does not follow %d: nodes that have the other lock refuse this one", s.Lock.Number, s.From.Number),
				Remedy: "issue it anew: slipway images lock --renew",
			}}
		},
	}
}
