package directory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

const (
	// searchesAtOnce is how many searches of several names are under way before the names that come wait for
	// the end of one. As many as fill a search wait for nothing.
	searchesAtOnce = 2
	// longestWait is how long they wait, in case that a search hangs.
	longestWait = 20 * time.Millisecond
)

// A Question is a login name that one of many wants the account of; see [Set.FindAll].
type Question struct {
	Name     string
	Allowed  []string      // as for [Set.Find]
	Patience time.Duration // how long an answer is waited for
	Of       any           // whose question it is: comes back with the answer
}

// An Answer is what [Set.Find] returns.
type Answer struct {
	Of      any
	Account *Account
	Err     error
}

// An Asker is told the answers to its questions. Answers to askers that are equal are told together, so
// an Asker MUST be comparable.
type Asker interface {
	// Found MUST NOT block. The slice is its own.
	Found([]Answer)
}

// FindAllKnown is FindKnown for many names, which wait for the machine's memory together. found[i] is set to the account
// that questions[i] is about; nil: Find has to be called.
func (s *Set) FindAllKnown(questions []Question, found []*Account) {
	r, _ := s.recollections.Get().(*recollection)
	if r == nil {
		r = new(recollection)
	}
	for i := range questions {
		found[i] = nil
		w, ok := s.routed(questions[i].Name, questions[i].Allowed)
		if !ok {
			w.directory = -1
		}
		r.wanted = append(r.wanted, w)
	}
	for directory, h := range s.homes {
		r.keys, r.of = r.keys[:0], r.of[:0]
		for i := range r.wanted {
			if r.wanted[i].directory == directory {
				r.keys, r.of = append(r.keys, r.wanted[i].key), append(r.of, i)
			}
		}
		h.cache.memory.accounts.Expect(r.keys)
		for i, key := range r.keys {
			found[r.of[i]] = h.cache.atHand(key)
		}
	}
	r.forget()
	s.recollections.Put(r)
}

// routed is route of one of many names, for whoever calls Find when it fails, however that is.
func (s *Set) routed(name string, allowed []string) (w wanted, ok bool) {
	defer func() {
		if recover() != nil { // which must not end the others' questions: Find tells
			ok = false
		}
	}()
	w, ok, err := s.names.route(name, allowed)
	return w, ok && err == nil
}

// recollection is room for what many names are looked up with.
type recollection struct {
	wanted []wanted
	keys   []string
	of     []int // which question a key is of
}

func (r *recollection) forget() {
	clear(r.wanted)
	clear(r.keys[:cap(r.keys)])
	r.wanted = r.wanted[:0]
}

// FindAll is [Set.Find] for many, and does not wait: every question is answered once, those together whose
// answers came together. None waits for the answer to another one but for those in the same search of the
// same directory, and none for longer than its own patience, or than ctx.
func (s *Set) FindAll(ctx context.Context, questions []Question, asker Asker) {
	var answers []Answer
	asked := make([][]*asked, len(s.homes))
	for i := range questions {
		q := &questions[i]
		if h, one, answer := s.question(q, asker); one != nil {
			asked[h] = append(asked[h], one)
		} else {
			answers = append(answers, answer)
		}
	}
	for i, list := range asked {
		if len(list) > 0 {
			s.homes[i].crowd.add(ctx, list)
		}
	}
	if len(answers) > 0 {
		asker.Found(answers)
	}
}

// question answers what needs no directory; of what does it says which one.
func (s *Set) question(q *Question, asker Asker) (home int, one *asked, answer Answer) {
	answer.Of = q.Of
	defer func() {
		if p := recover(); p != nil { // of one name: that must not end the others' questions
			one, answer.Account, answer.Err = nil, nil, fmt.Errorf("directory: %w: internal error: %T", ErrUnavailable, p)
		}
	}()
	w, ok, err := s.names.route(q.Name, q.Allowed)
	switch {
	case err != nil:
		answer.Err = fmt.Errorf("directory: %w", err)
		return 0, nil, answer
	case !ok:
		answer.Err = s.names.nowhere(q.Allowed)
		return 0, nil, answer
	}
	h := s.homes[w.directory]
	a, trusted, err := h.cache.remembered(w.key)
	if err != nil {
		answer.Err = fmt.Errorf("directory %q: %w", h.Name, err)
		return 0, nil, answer
	}
	if a != nil {
		answer.Account = a
		return 0, nil, answer
	}
	one = &asked{of: q.Of, asker: asker, key: w.key, values: w.values, patience: q.Patience, trusted: trusted}
	if trusted {
		one.patience /= 2 // whoever gets the old account still has something to do with it
	}
	return w.directory, one, answer
}

// A crowd is the questions that one directory has not answered yet. Those that come while searches are under way
// go together in the next one.
//
//	FindAll ──► waiting ──► search ──► Found
//	               │           ▲
//	               └─ alone ───┘  a name that cannot share a search, or a directory that shares none
//
// Equal names are one question to the directory, and whoever gives up takes nothing from the others.
type crowd struct {
	home   *home
	logger *slog.Logger

	mu      sync.Mutex
	flights map[string]*flight // that nobody has the answer of
	waiting []*flight
	running int
	left    uint64 // how many searches have begun
	armed   bool   // a timer looks after those who wait
}

// A flight is a name that a directory is asked for.
type flight struct {
	lookup
	key string
	by  []*asked // not those who gave up
}

// asked is a question on its way.
type asked struct {
	of       any
	asker    Asker
	key      string
	values   []string
	patience time.Duration
	trusted  bool // there is an account to go on with when the directory does not tell
	party    *party
	flight   *flight
	over     bool // it is answered
	timer    *time.Timer
}

// A party is the questions that came in one call.
type party struct {
	waiting int         // so many are not answered
	stop    func() bool // looking at the context of the call
}

// add has questions answered until ctx ends.
func (c *crowd) add(ctx context.Context, list []*asked) {
	shares := c.home.many.shares()
	var alone []*flight
	c.mu.Lock()
	together := &party{waiting: len(list)}
	together.stop = context.AfterFunc(ctx, func() {
		for _, q := range list {
			c.giveUp(q, context.Cause(ctx))
		}
	})
	for _, q := range list {
		f := c.flights[q.key]
		if f == nil {
			f = &flight{lookup: lookup{opFind, c.home.LoginAttributes, q.values}, key: q.key}
			c.flights[q.key] = f
			if shares && f.together() {
				c.waiting = append(c.waiting, f)
			} else {
				alone = append(alone, f)
			}
		}
		f.by = append(f.by, q)
		q.flight, q.party = f, together
		q.timer = time.AfterFunc(q.patience, func() { c.giveUp(q, context.DeadlineExceeded) })
	}
	c.mu.Unlock()
	for _, f := range alone {
		go c.alone(f)
	}
	for batch := c.take(false); batch != nil; batch = c.take(false) {
		go c.fly(batch)
	}
}

// take returns those who go next, if any need not wait: all of them when it is late.
func (c *crowd) take(late bool) (batch []*flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running >= searchesAtOnce && len(c.waiting) < sharedLookups && !late {
		if len(c.waiting) > 0 && !c.armed {
			c.arm()
		}
		return nil
	}
	n := 0
	for n < len(c.waiting) && len(batch) < sharedLookups {
		if f := c.waiting[n]; len(f.by) > 0 {
			batch = append(batch, f)
		} else {
			delete(c.flights, f.key)
		}
		n++
	}
	left := copy(c.waiting, c.waiting[n:])
	clear(c.waiting[left:])
	c.waiting = c.waiting[:left]
	if batch != nil {
		c.running++
		c.left++
	}
	return batch
}

// arm has those go who still wait after a while in which nobody went. The mutex is held.
func (c *crowd) arm() {
	c.armed = true
	before := c.left
	time.AfterFunc(longestWait, func() {
		c.mu.Lock()
		c.armed = false
		late := before == c.left
		c.mu.Unlock()
		if batch := c.take(late); batch != nil {
			c.fly(batch)
		}
	})
}

// fly searches for a batch, and then for those who have come meanwhile.
func (c *crowd) fly(batch []*flight) {
	for batch != nil {
		c.search(batch)
		c.mu.Lock()
		c.running--
		c.mu.Unlock()
		batch = c.take(false)
	}
}

// search has all of a batch answered. Where names have to be asked for one at a time they are, beside each other.
func (c *crowd) search(batch []*flight) {
	h := c.home
	accounts, errs := make([]*Account, len(batch)), make([]error, len(batch))
	begin := h.metrics.now()
	at, err := c.ask(batch, accounts, errs)
	if errors.Is(err, errApart) {
		for _, f := range batch {
			go c.alone(f)
		}
		return
	}
	for i := range batch {
		if err != nil {
			accounts[i], errs[i] = nil, err
		}
		h.metrics.observe(opFind, begin, errs[i])
	}
	c.land(batch, accounts, errs, at)
}

// ask asks the directory about a batch, and says when.
func (c *crowd) ask(batch []*flight, accounts []*Account, errs []error) (at time.Time, err error) {
	defer func() {
		if p := recover(); p != nil { // on a goroutine of its own it would end the process
			err = c.panicked(p)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), c.home.Timeout)
	defer cancel()
	lookups := make([]lookup, len(batch))
	for i, f := range batch {
		lookups[i] = f.lookup
	}
	at = c.home.cache.now() // the answer is not younger than the question
	return at, c.home.many.accounts(ctx, lookups, accounts, errs)
}

func (c *crowd) panicked(p any) error {
	c.logger.Error("panic in directory look-up", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	return fmt.Errorf("%w: internal error", ErrUnavailable)
}

// alone has one name answered as [Set.Find] has.
func (c *crowd) alone(f *flight) {
	h := c.home
	a, err := h.cache.fly(context.Background(), f.key, func(ctx context.Context) (*Account, error) { return h.source.find(ctx, f.lookup) })
	c.tell([]*flight{f}, []*Account{a}, []error{err})
}

// land remembers the answers, and tells them.
func (c *crowd) land(batch []*flight, accounts []*Account, errs []error, at time.Time) {
	for i, f := range batch {
		accounts[i] = c.home.cache.learned(f.key, accounts[i], errs[i], at)
	}
	c.tell(batch, accounts, errs)
}

// tell answers those who have not given up.
func (c *crowd) tell(batch []*flight, accounts []*Account, errs []error) {
	var askers []Asker
	var answers []Answer
	c.mu.Lock()
	for i, f := range batch {
		delete(c.flights, f.key)
		for _, q := range f.by {
			c.end(q)
			askers, answers = append(askers, q.asker), append(answers, c.answer(q, accounts[i], errs[i]))
		}
		f.by = nil
	}
	c.mu.Unlock()
	found(askers, answers)
}

// answer is what one is told.
func (c *crowd) answer(q *asked, a *Account, err error) Answer {
	switch {
	case err == nil:
		return Answer{Of: q.of, Account: a}
	case q.trusted && errors.Is(err, ErrUnavailable):
		if old, ok := c.home.cache.old(q.key); ok { // as others have learned meanwhile
			return Answer{Of: q.of, Account: old}
		}
	}
	return Answer{Of: q.of, Err: fmt.Errorf("directory %q: %w", c.home.Name, err)}
}

// found tells each asker its answers.
func found(askers []Asker, answers []Answer) {
	for len(askers) > 0 {
		asker, his := askers[0], make([]Answer, 0, len(answers))
		rest := 0
		for i := range askers {
			if askers[i] == asker {
				his = append(his, answers[i])
				continue
			}
			askers[rest], answers[rest] = askers[i], answers[i]
			rest++
		}
		askers, answers = askers[:rest], answers[:rest]
		asker.Found(his)
	}
}

// end notes that a question is answered. The mutex is held.
func (c *crowd) end(q *asked) {
	q.over = true
	q.timer.Stop()
	if q.party.waiting--; q.party.waiting == 0 {
		q.party.stop()
	}
}

// giveUp answers a question that was waited for long enough. The others' search goes on.
func (c *crowd) giveUp(q *asked, why error) {
	c.mu.Lock()
	if q.over {
		c.mu.Unlock()
		return
	}
	c.end(q)
	q.flight.by = slices.DeleteFunc(q.flight.by, func(other *asked) bool { return other == q })
	c.mu.Unlock()
	if q.trusted && errors.Is(why, context.DeadlineExceeded) { // not an answer, and not the caller gone
		c.home.cache.slow(q.key, q.patience)
	}
	q.asker.Found([]Answer{c.answer(q, nil, fmt.Errorf("%w: %w", ErrUnavailable, why))})
}
