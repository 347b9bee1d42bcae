// Package link keeps short names of long addresses.
package link

import (
	"errors"
	"net/url"
	"sync"
)

// ErrNotAnAddress is what Add says of anything but an absolute http or https URL.
var ErrNotAnAddress = errors.New("not an absolute http or https URL")

const alphabet = "23456789abcdefghjkmnpqrstuvwxyz" // nothing that looks like something else

// Store gives out short names. It is safe for concurrent use; its zero value is an empty store.
type Store struct {
	mu     sync.RWMutex
	byName map[string]string
	byURL  map[string]string
}

// Add returns the short name of an address: always the same for the same one.
func (s *Store) Add(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return "", ErrNotAnAddress
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if name, ok := s.byURL[address]; ok {
		return name, nil
	}
	if s.byName == nil {
		s.byName, s.byURL = map[string]string{}, map[string]string{}
	}
	name := encode(len(s.byName))
	s.byName[name], s.byURL[address] = address, name
	return name, nil
}

// Find returns the address of a short name.
func (s *Store) Find(name string) (string, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	address, ok := s.byName[name]
	return address, ok
}

// encode writes n with the digits of the alphabet: every number once, none with more digits than it needs.
func encode(n int) string {
	base := len(alphabet)
	digits := []byte{}
	for n++; n > 0; n = (n - 1) / base {
		digits = append([]byte{alphabet[(n-1)%base]}, digits...)
	}
	return string(digits)
}
