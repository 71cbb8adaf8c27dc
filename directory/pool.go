package directory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-ldap/ldap/v3"
)

const (
	// searchConnections are shared by all look-ups of a directory: one carries as many searches at
	// once as there are; the second is there while the first is being replaced.
	searchConnections = 2
	// penalty is how long a server that failed is tried after the others.
	penalty = 10 * time.Second
	// connectionLife is how long a connection is used before there is another, so that a node comes back to the servers
	// that are preferred.
	connectionLife = 5 * time.Minute
)

// servers is a directory made of LDAP servers with the same content.
type servers struct {
	config  Config
	dialer  dialer
	all     []*server
	slots   [searchConnections]slot
	next    atomic.Uint32
	anew    atomic.Bool // an old connection is being replaced
	binders *binders
	walk    walker
	gather  *gatherer
	metrics *metrics
	logger  *slog.Logger
	now     func() time.Time
	closing chan struct{}
	once    sync.Once
}

// A server is one of them.
type server struct {
	endpoint
	badUntil atomic.Int64 // unix nanoseconds
	failing  atomic.Bool  // since it last worked; for the log
}

// A slot holds a connection that searches share. Whoever replaces it holds lock, a mutex that
// can be waited for with a context.
type slot struct {
	lock       chan struct{}
	connection *connection
}

func newServers(c Config, m *metrics, logger *slog.Logger, now func() time.Time) (*servers, error) {
	s := &servers{
		config:  c,
		dialer:  dialer{c.StartTLS, c.RootCAs, c.BindDN, c.BindPassword},
		walk:    walker{logger: logger, now: now},
		metrics: m, logger: logger, now: now,
		closing: make(chan struct{}),
	}
	s.binders = newBinders(s)
	s.gather = &gatherer{servers: s, attributes: accountAttributes(c)}
	for i := range s.slots {
		s.slots[i].lock = make(chan struct{}, 1)
	}
	for _, u := range c.URLs {
		e, err := parseURL(u, c.StartTLS)
		if err != nil {
			return nil, err
		}
		s.all = append(s.all, &server{endpoint: e})
		if !e.tls && !c.StartTLS {
			logger.Warn("passwords travel unencrypted to this server", "url", e.url)
		}
	}
	return s, nil
}

// close closes all connections, and lets nobody make new ones.
func (s *servers) close() {
	s.once.Do(func() { close(s.closing) })
	for i := range s.slots {
		s.slots[i].lock <- struct{}{} // whoever is dialing has just been told to stop
		if c := s.slots[i].connection; c != nil {
			c.close()
		}
		<-s.slots[i].lock
	}
	s.binders.close()
}

// search runs a search on a shared connection, on another when that one is dead, and on the other
// servers when the first fails; the time that is left is divided between them.
func (s *servers) search(ctx context.Context, request *ldap.SearchRequest) (entries []*ldap.Entry, more bool, err error) {
	return s.searchAs(ctx, request, func(err error) error { return err })
}

// searchAs is search, and takes the errors of an attempt for what sort makes of them.
func (s *servers) searchAs(ctx context.Context, request *ldap.SearchRequest, sort func(error) error) (entries []*ldap.Entry, more bool, err error) {
	turn := s.next.Add(1)
	var tried []*server
	reached := false
	for attempts := range len(s.all) + searchConnections {
		if ctx.Err() != nil || len(tried) == len(s.all) {
			err = cmp.Or(err, context.Cause(ctx))
			break
		}
		var c *connection
		var reused bool
		if c, reused, tried, err = s.take(ctx, turn, tried); err != nil {
			break
		}
		attempt, cancel := s.share(ctx, reused, tried)
		entries, more, err = c.search(attempt, request)
		err = sort(err)
		cancel()
		// A second time the connection was made by whoever was faster, if it was there before.
		reached = reached || !reused || attempts > 0 || !errors.Is(err, errBroken)
		tried = s.settle(ctx, c, reused, tried, err)
		c.release()
		if !errors.Is(err, errBroken) {
			break
		}
	}
	switch {
	case err == nil:
		return entries, more, nil
	case !reached:
		err = unreached{err}
	}
	return nil, false, fmt.Errorf("%w: search: %w", ErrUnavailable, err)
}

// unreached is why a search failed that no server was asked for, but once on a connection that was there before: whatever
// is wrong, it is not the search.
type unreached struct{ error }

func (u unreached) Unwrap() error { return u.error }

// share returns the context of one attempt: its part of the time that is left. A connection that
// was there before is one attempt more, because it may be dead without knowing.
func (s *servers) share(ctx context.Context, reused bool, tried []*server) (context.Context, context.CancelFunc) {
	attempts := len(s.all) - len(tried)
	if reused {
		attempts++
	}
	deadline, ok := ctx.Deadline()
	if !ok || attempts < 2 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/time.Duration(attempts))
}

// settle draws the conclusions from an attempt, and returns the servers not to be tried again.
func (s *servers) settle(ctx context.Context, c *connection, reused bool, tried []*server, err error) []*server {
	if !errors.Is(err, errBroken) {
		s.worked(c.from)
		return tried
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return tried // the caller gave up: that says nothing
	}
	c.retire()
	// A connection that was there before may have been closed for being idle, or by a restart: the
	// server gets another chance. One that does not answer is asked after the others.
	if !reused || errors.Is(err, context.DeadlineExceeded) {
		s.failed(c.from, err)
	}
	if !reused {
		tried = append(tried, c.from)
	}
	return tried
}

// take returns a connection for searches, and whether it was there before, with a use of it that has to be released.
func (s *servers) take(ctx context.Context, turn uint32, tried []*server) (*connection, bool, []*server, error) {
	slot, err := s.lock(ctx, turn)
	if err != nil {
		return nil, false, tried, err
	}
	defer func() { <-slot.lock }()
	if old := slot.standing(tried); old != nil {
		return s.renew(ctx, slot, old, tried)
	}
	c, failed, err := s.connect(ctx, true, tried)
	if err != nil {
		return nil, false, failed, err
	}
	err = s.install(slot, c)
	return c, false, failed, err
}

// standing returns the connection of a slot, with a use of it; nil: there is none that may be used.
func (k *slot) standing(tried []*server) *connection {
	c := k.connection
	if c == nil || !slices.Contains(tried, c.from) && c.use() {
		return c
	}
	c.retire()
	k.connection = nil
	return nil
}

// renew has the old connection of a slot replaced when it is time for that, one at a time. It goes on when that fails.
func (s *servers) renew(ctx context.Context, slot *slot, old *connection, tried []*server) (*connection, bool, []*server, error) {
	if s.young(old) || !s.anew.CompareAndSwap(false, true) {
		return old, true, tried, nil
	}
	defer s.anew.Store(false)
	c, failed, err := s.replace(ctx, tried)
	if err != nil {
		if ctx.Err() == nil {
			old.born = s.now()
		}
		return old, true, tried, nil
	}
	old.retire()
	old.release()
	err = s.install(slot, c)
	return c, false, failed, err
}

// install makes a connection that of a slot, with a use of it.
func (s *servers) install(slot *slot, c *connection) error {
	s.metrics.connected(stateSearch, 1)
	c.onClose = func() { s.metrics.connected(stateSearch, -1) }
	slot.connection = c
	if !c.use() {
		return fmt.Errorf("%w: %s: closed at once", errBroken, c.from.url)
	}
	return nil
}

// lock locks the slot whose turn it is, or another where nobody connects.
func (s *servers) lock(ctx context.Context, turn uint32) (*slot, error) {
	for i := range uint32(searchConnections) {
		slot := &s.slots[(turn+i)%searchConnections]
		select {
		case slot.lock <- struct{}{}:
			return slot, nil
		default:
		}
	}
	slot := &s.slots[turn%searchConnections]
	select {
	case slot.lock <- struct{}{}:
		return slot, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// replace makes the connection that an old one is to make way for, and leaves time to go on with that.
func (s *servers) replace(ctx context.Context, tried []*server) (*connection, []*server, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	return s.connect(ctx, true, tried)
}

func (s *servers) young(c *connection) bool {
	age := s.now().Sub(c.born)
	return age >= 0 && age < connectionLife
}

// connect makes a connection to the best server that was not tried yet, bound as the searcher if
// bind is true, and returns the servers that are not to be tried again.
func (s *servers) connect(ctx context.Context, bind bool, tried []*server) (*connection, []*server, error) {
	select {
	case <-s.closing:
		return nil, tried, errClosed
	default:
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-s.closing:
			cancel(errClosed)
		case <-ctx.Done():
		}
	}()
	err := error(fmt.Errorf("%w: no server left to try", errBroken))
	for _, server := range s.order() {
		if slices.Contains(tried, server) {
			continue
		}
		attempt, done := s.share(ctx, false, tried)
		begin := s.now()
		var c *connection
		c, err = s.dialer.dial(attempt, server.endpoint, bind)
		s.metrics.observe(opDial, begin, err)
		done()
		if err == nil {
			c.from, c.born = server, begin
			return c, tried, nil
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, tried, context.Cause(ctx)
		}
		s.failed(server, err)
		tried = append(tried, server)
		if ctx.Err() != nil { // no time left for the others: that is not their fault
			break
		}
	}
	return nil, tried, err
}

// order returns the servers as they should be tried: those that failed lately come last, the one
// that failed first before the others.
func (s *servers) order() []*server {
	now := s.now().UnixNano()
	until := func(server *server) int64 {
		until := server.badUntil.Load()
		if until <= now || until-now > int64(penalty) { // over, or of a clock that was set back since
			return 0
		}
		return until
	}
	order := slices.Clone(s.all)
	slices.SortStableFunc(order, func(a, b *server) int { return cmp.Compare(until(a), until(b)) })
	return order
}

func (s *servers) failed(server *server, err error) {
	server.badUntil.Store(s.now().Add(penalty).UnixNano())
	if server.failing.CompareAndSwap(false, true) {
		s.logger.Warn("directory server failed", "url", server.url, "error", err)
	}
}

func (s *servers) worked(server *server) {
	if server.failing.CompareAndSwap(true, false) {
		server.badUntil.Store(0)
		s.logger.Info("directory server works", "url", server.url)
	}
}
