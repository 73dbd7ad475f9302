package pull

import "sync"

// fileSet remembers which files an image's layers brought; layers unpack in parallel.
type fileSet struct {
	mu    sync.Mutex
	names map[string]bool
}

// add reports whether name is new.
func (s *fileSet) add(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.names == nil {
		s.names = map[string]bool{}
	}
	if s.names[name] {
		return false
	}
	s.names[name] = true
	return true
}

func (s *fileSet) has(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names[name]
}
