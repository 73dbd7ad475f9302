package lock

import (
	"fmt"
	"time"
)

// parseTime reads a time as locks and key statements write it: RFC 3339, UTC, whole seconds, in
// exactly one form.
func parseTime(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.UTC().Format(time.RFC3339) != text {
		return time.Time{}, fmt.Errorf("%q is not a time such as 2026-11-21T17:00:00Z", text)
	}
	return t, nil
}

// Issue gives the lock its number and the time in which it may be applied, from now on.
func (l *Lock) Issue(number int64, now time.Time, life time.Duration) {
	l.Number = number
	l.Issued = now.UTC().Truncate(time.Second).Format(time.RFC3339)
	l.Expires = now.Add(life).UTC().Truncate(time.Second).Format(time.RFC3339)
}

// IssuedAt returns when the lock was issued; the zero time for a lock that is not valid.
func (l *Lock) IssuedAt() time.Time {
	t, _ := parseTime(l.Issued)
	return t
}

// ExpiresAt returns when the lock ends to be newly applicable; the zero time for a lock that is
// not valid.
func (l *Lock) ExpiresAt() time.Time {
	t, _ := parseTime(l.Expires)
	return t
}
