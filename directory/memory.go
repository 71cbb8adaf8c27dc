package directory

import (
	"hash/maphash"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"otpgate/otp/recall"
)

// defaultCacheSize is how many accounts are remembered of a directory unless [Options.CacheSize] says.
const defaultCacheSize = 250_000

// A memory holds the accounts of one directory that are remembered, a bounded number of them. It
// outlives its cache: the next generation of directories takes it over.
//
// An account costs what its own texts have, in one piece with the name that it is remembered by, and about 280 octets
// besides. What many accounts have in common is there once: see sharing.
type memory struct {
	accounts  *recall.Cache[entry]
	sharing   sharing
	pushedOut atomic.Uint64
	counts    atomic.Int64 // for so many nanoseconds an account is of use
	warned    atomic.Bool
	size      atomic.Int64
	began     time.Time // from which ages are counted: a clock that is set makes nobody older
	logger    *slog.Logger
	now       func() time.Time
}

// An entry is an account that is remembered. It is never changed.
type entry struct {
	account Account
	at      time.Duration // when it was asked for, since the memory began
}

// near is what a login reads of it: its own texts are one piece, which begins with the key; these lie in it.
func (e *entry) near() recall.Near { return recall.Near{e.account.ID, e.account.Name} }

func newMemory(logger *slog.Logger, now func() time.Time) *memory {
	m := &memory{logger: logger, now: now, began: now()}
	m.sharing.reset()
	m.accounts = recall.New(defaultCacheSize, (*entry).near, m.gone)
	return m
}

// resize bounds how many accounts are remembered; 0: the default.
func (m *memory) resize(size int) {
	if size == 0 {
		size = defaultCacheSize
	}
	if m.size.Swap(int64(size)) != int64(size) {
		m.accounts.Resize(size)
	}
}

// keep remembers an answer that was asked for at a time, and returns the account as it is remembered: as another answer
// has it that was asked for later, and came sooner.
func (m *memory) keep(key string, a *Account, at time.Time) *Account {
	key, account := m.sharing.compact(key, a)
	e := entry{account: account, at: at.Sub(m.began)}
	kept := m.accounts.Put(key, 1, e, func(before *entry) bool {
		return before.at > e.at && m.age(before.at) >= 0 // else it is of a wrong clock
	})
	return &kept.account
}

// age is how long ago something was, that was so long after the memory began.
func (m *memory) age(at time.Duration) time.Duration { return m.now().Sub(m.began) - at }

// gone is told of every account that was pushed out. One that was still of use shows that the memory is too small.
func (m *memory) gone(e *entry) {
	m.pushedOut.Add(1)
	counts := m.age(e.at) < time.Duration(m.counts.Load())
	if counts && !m.warned.Load() && !m.warned.Swap(true) {
		m.logger.Warn("more accounts log in than the node remembers: each of the others costs a search in the directory, and cannot log in while that is away",
			"known_accounts", m.size.Load(), "hint", "raise known_accounts if the memory allows it")
	}
}

const (
	maxShared    = 10_000 // texts, and lists of groups, that are known to be shared
	maxSharedDNs = 64     // longer lists are seldom the same
)

// sharing lets accounts have in common what repeats: the names of groups, whole lists of them,
// languages. What is forgotten here costs memory, and nothing else.
type sharing struct {
	mu    sync.Mutex
	seed  maphash.Seed
	texts map[string]string
	lists map[uint64][]Group
}

func (s *sharing) reset() {
	s.seed = maphash.MakeSeed()
	s.texts, s.lists = map[string]string{}, map[uint64][]Group{}
}

// compact returns a copy of the account, and of the key that it is remembered by, whose texts are one piece of memory of
// their own, or shared.
func (s *sharing) compact(key string, a *Account) (string, Account) {
	c := *a
	var all strings.Builder
	own := []*string{&key, &c.ID, &c.DN, &c.Name, &c.Mail, &c.FullName}
	length := 0
	for _, text := range own {
		length += len(*text)
	}
	all.Grow(length)
	for _, text := range own {
		all.WriteString(*text)
	}
	rest := all.String()
	for _, text := range own {
		*text, rest = rest[:len(*text)], rest[len(*text):]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Language = s.text(a.Language)
	c.Groups = s.groups(a.Groups)
	return key, c
}

// text returns a text that is equal, the same one each time.
func (s *sharing) text(text string) string {
	if text == "" {
		return ""
	}
	if shared, ok := s.texts[text]; ok {
		return shared
	}
	if len(s.texts) >= maxShared {
		clear(s.texts)
	}
	text = strings.Clone(text)
	s.texts[text] = text
	return text
}

// groups returns a list of equal groups, which nobody changes.
func (s *sharing) groups(list []Group) []Group {
	if len(list) == 0 {
		return nil
	}
	var sum uint64
	if len(list) <= maxSharedDNs {
		var h maphash.Hash
		h.SetSeed(s.seed)
		for i := range list {
			h.WriteString(list[i].DN)
			h.WriteByte(0)
		}
		sum = h.Sum64()
		if shared, ok := s.lists[sum]; ok && slices.EqualFunc(shared, list, Group.equal) {
			return shared
		}
	}
	own := make([]Group, len(list))
	for i, g := range list {
		own[i] = Group{Name: s.text(g.Name), DN: s.text(g.DN)}
		for _, alias := range g.Aliases {
			own[i].Aliases = append(own[i].Aliases, s.text(alias))
		}
	}
	if len(list) <= maxSharedDNs {
		if len(s.lists) >= maxShared {
			clear(s.lists)
		}
		s.lists[sum] = own
	}
	return own
}

// equal reports whether two groups are spelled the same.
func (g Group) equal(h Group) bool {
	return g.DN == h.DN && g.Name == h.Name && slices.Equal(g.Aliases, h.Aliases)
}
