package release

// signatureRule wants a signature by a trusted key.
func signatureRule() Rule {
	return Rule{
		Name: "signed", About: "a trusted key has signed the lock", Binding: true,
		find: func(s *Subject) []Finding {
			if s.Signature.Problem == "" && s.Signature.KeyID != "" {
				return nil
			}
			problem := s.Signature.Problem
			if problem == "" {
				problem = "no signature was looked at"
			}
			return []Finding{{Field: "signature", Problem: problem, Remedy: "sign it where it is published (slipway images lock sign), or name the signature and its key"}}
		},
	}
}
