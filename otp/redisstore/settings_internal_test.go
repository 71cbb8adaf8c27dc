package redisstore

import "testing"

// TestWhatMayEvictIsRefused, also when its limit is not known; what tells nothing at all is a concern.
func TestWhatMayEvictIsRefused(t *testing.T) {
	for _, c := range []struct {
		maxmemory, policy string
		refused           bool
	}{
		{"", "", false},
		{"100", "", false},
		{"0", "allkeys-lru", false},
		{"100", "noeviction", false},
		{"", "noeviction", false},
		{"100", "volatile-ttl", true},
		{"", "allkeys-lru", true},
	} {
		s := settings{maxmemory: c.maxmemory, policy: c.policy}
		if r := s.refusal("any"); (r != nil) != c.refused {
			t.Errorf("maxmemory %q and policy %q: %v", c.maxmemory, c.policy, r)
		}
	}
}

// TestInfoTellsOnlyWhatConfigDidNot: a policy that is known stays.
func TestInfoTellsOnlyWhatConfigDidNot(t *testing.T) {
	s := settings{policy: "allkeys-lru"}
	s.policyFrom("maxmemory:100\r\nmaxmemory_policy:noeviction\r\n")
	if s.maxmemory != "100" || s.policy != "allkeys-lru" {
		t.Errorf("%+v", s)
	}
}
