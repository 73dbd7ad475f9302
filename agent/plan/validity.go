package plan

import "time"

// Issue gives the plan the time in which it may be applied: from now on, for that long.
func (p *Plan) Issue(now time.Time, life time.Duration) {
	p.Issued = now.UTC().Truncate(time.Second)
	p.Expires = now.Add(life).UTC().Truncate(time.Second)
}

func (v *validation) validity() {
	for _, field := range []struct {
		name string
		time time.Time
	}{{"issued", v.plan.Issued}, {"expires", v.plan.Expires}} {
		switch {
		case field.time.IsZero():
			v.fail(field.name, "", "is missing: every plan says from when to when it may be applied")
		case field.time.Location() != time.UTC || field.time.Nanosecond() != 0:
			v.fail(field.name, field.time.String(), "must be in UTC and whole seconds")
		}
	}
	if !v.plan.Expires.IsZero() && !v.plan.Expires.After(v.plan.Issued) {
		v.fail("expires", v.plan.Expires.Format(time.RFC3339), "is not after issued (%s)", v.plan.Issued.Format(time.RFC3339))
	}
}
