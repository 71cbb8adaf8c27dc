package directory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// A lookup is a question: which account has one of the values in one of the attributes?
type lookup struct {
	operation          string // opFind, opMail or opID, for the metrics
	attributes, values []string
}

// terms returns what has to be true, any of it.
func (l lookup) terms() []term {
	var terms []term
	for _, attribute := range l.attributes {
		for _, value := range l.values {
			terms = append(terms, term{attribute, value})
		}
	}
	return terms
}

// A source is one directory that can be asked: LDAP servers, or a file.
type source interface {
	// find returns the one account that the lookup describes. It MUST return an error wrapping
	// ErrNotFound when there is none, ErrAmbiguous when there are several, and ErrUnavailable when
	// it cannot tell, the last before the context's deadline.
	find(ctx context.Context, l lookup) (*Account, error)
	// authenticate returns nil only if the directory took the password; the others are
	// ErrPasswordWrong and ErrUnavailable.
	authenticate(ctx context.Context, dn, password string) error
	// health returns an error wrapping ErrUnavailable when find could not answer.
	health(ctx context.Context) error
}

// many is a source that can be asked for several accounts at once.
type many interface {
	// ids returns the ids of the accounts that the lookups describe, in their order, with the errors
	// of [source].find.
	ids(ctx context.Context, lookups []lookup) ([]string, []error)
	// accounts is [source.find] for several: what each finds is put into accounts and errs, in their order.
	// All may be together. It returns an error when the source does not tell: errApart when it tells of each
	// alone.
	accounts(ctx context.Context, lookups []lookup, accounts []*Account, errs []error) error
	// shares is false while accounts would return errApart.
	shares() bool
}

// A home is one directory with its settings and what is remembered of it.
type home struct {
	Config
	source source
	many   many
	cache  *cache
	crowd  *crowd
	close  func()

	metrics *metrics
}

// A Set is all the directories. It is safe for concurrent use.
type Set struct {
	recollections sync.Pool // of *recollection
	names         *names
	homes         []*home
}

// New reads the LDIF files and prepares the connections, but makes none: servers may be down.
// The error names every directory that is configured wrongly.
func New(o Options) (*Set, error) {
	if o.Now == nil {
		return nil, errors.New("directory: Options.Now is missing")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	logger := o.Logger.With("component", "directory")
	m := newMetrics(o.Registerer, o.Now)
	s := &Set{}
	var errs []error
	for i, c := range o.Directories {
		h, err := newHome(c, o, m, logger)
		if err != nil {
			errs = append(errs, fmt.Errorf("directory %q (number %d): %w", c.Name, i+1, err))
			continue
		}
		s.homes = append(s.homes, h)
	}
	m.remember(o.Registerer, s)
	var err error
	if s.names, err = newNames(o.Directories); err != nil {
		errs = append(errs, fmt.Errorf("directory: %w", err))
	}
	if len(errs) > 0 {
		return nil, errors.Join(append(errs, s.Close())...)
	}
	if o.Before != nil {
		for _, h := range s.homes {
			h.warn(o.Before, logger)
		}
	}
	return s, nil
}

// warn says that accounts of the set before are forgotten: while their directory is away, that keeps everybody out. One
// that is a file now is never away.
func (h *home) warn(before *Set, logger *slog.Logger) {
	for _, old := range before.homes {
		if old.Name != h.Name || h.LDIF != "" || old.sameAnswers(h.Config) {
			continue
		}
		if known := old.cache.memory.accounts.Len(); known > 0 {
			logger.Warn("the remembered accounts are forgotten: what is asked of the directory is not what was", "directory", h.Name,
				"accounts", known, "changed", strings.Join(old.asksOtherwise(h.Config), ", "),
				"hint", "each is looked up again at the next login, and cannot log in until the directory answers")
		}
	}
}

func newHome(c Config, o Options, m *metrics, logger *slog.Logger) (*home, error) {
	c, err := c.check()
	if err != nil {
		return nil, err
	}
	h := &home{Config: c, close: func() {}, metrics: m}
	logger = logger.With("directory", c.Name)
	if c.LDIF != "" {
		file, err := openFile(c, logger, o.Now)
		if err != nil {
			return nil, err
		}
		h.source, h.many = file, file
	} else {
		servers, err := newServers(c, m, logger, o.Now)
		if err != nil {
			return nil, err
		}
		h.source, h.many, h.close = servers, servers, servers.close
	}
	h.source = &observed{source: h.source, metrics: m}
	var before *cache
	if o.Before != nil {
		for _, old := range o.Before.homes {
			if old.sameAnswers(c) {
				before = old.cache
			}
		}
	}
	h.cache = newCache(c, o.CacheSize, before, logger, o.Now)
	h.crowd = &crowd{home: h, logger: logger, flights: map[string]*flight{}}
	return h, nil
}

// Known returns how many accounts are remembered, and how many were forgotten because there were more
// than [Options.CacheSize] of a directory.
func (s *Set) Known() (accounts int, pushedOut uint64) {
	for _, h := range s.homes {
		accounts += h.cache.memory.accounts.Len()
		pushedOut += h.cache.memory.pushedOut.Load()
	}
	return accounts, pushedOut
}

// FindKnown is [Set.Find] for an account that was asked for within Fresh, or within Stale while the directory is
// unavailable. It never blocks; false says that Find has to be called, not that there is no such account.
func (s *Set) FindKnown(name string, allowed []string) (*Account, bool) {
	w, ok, err := s.names.route(name, allowed)
	if err != nil || !ok {
		return nil, false
	}
	a := s.homes[w.directory].cache.atHand(w.key)
	return a, a != nil
}

// Find returns the account with a login name. allowed are the names of the directories that the
// client may use, in order of preference; empty: all.
//
// It returns an error wrapping [ErrNameInvalid], [ErrNotFound], [ErrAmbiguous], or
// [ErrUnavailable] when the directory cannot tell in time and the account was not seen within
// Stale, or when none of those allowed is in the set. The account is then at most Fresh old, or at most Stale while the directory is unavailable.
func (s *Set) Find(ctx context.Context, name string, allowed []string) (*Account, error) {
	w, ok, err := s.names.route(name, allowed)
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	if !ok {
		return nil, s.names.nowhere(allowed)
	}
	h := s.homes[w.directory]
	a, err := h.cache.find(ctx, w.key, func(ctx context.Context) (*Account, error) {
		return h.source.find(ctx, lookup{opFind, h.LoginAttributes, w.values})
	})
	if err != nil {
		return nil, fmt.Errorf("directory %q: %w", h.Name, err)
	}
	return a, nil
}

// FindMail returns the account with a mail address, of whichever directory; all are asked, and
// nothing is remembered.
//
// It returns an error wrapping [ErrNameInvalid] for what cannot be a mail address, [ErrNotFound],
// [ErrAmbiguous] for an address that two accounts share, or [ErrUnavailable] when any directory
// cannot tell, whatever the others say: the address might be in that one as well.
func (s *Set) FindMail(ctx context.Context, mail string) (*Account, error) {
	mail = strings.TrimSpace(mail)
	if len(mail) > 254 || !utf8.ValidString(mail) || strings.ContainsFunc(mail, unicode.IsControl) ||
		strings.IndexByte(mail, '@') < 1 || strings.HasSuffix(mail, "@") {
		return nil, fmt.Errorf("directory: %w: not a mail address", ErrNameInvalid)
	}
	return s.everywhere(ctx, "with this mail address", func(h *home) lookup {
		return lookup{opMail, h.MailAttributes, []string{mail}}
	})
}

// FindID returns the account with an id ([Account.ID]), of whichever directory; all are asked, and
// nothing is remembered. Errors are those of [Set.FindMail].
func (s *Set) FindID(ctx context.Context, id string) (*Account, error) {
	if id == "" || len(id) > 254 || !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl) {
		return nil, fmt.Errorf("directory: %w: not an id", ErrNameInvalid)
	}
	a, err := s.everywhere(ctx, "with this id", func(*home) lookup { return lookup{opID, []string{attrID}, []string{id}} })
	if err == nil && !strings.EqualFold(a.ID, id) {
		return nil, fmt.Errorf("directory %q: %w with this id", a.Directory, ErrNotFound)
	}
	return a, err
}

// everywhere asks all directories, and returns the only account that any of them has.
func (s *Set) everywhere(ctx context.Context, which string, question func(*home) lookup) (*Account, error) {
	accounts, errs := make([]*Account, len(s.homes)), make([]error, len(s.homes))
	var asked sync.WaitGroup
	for i, h := range s.homes {
		asked.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, h.Timeout)
			defer cancel()
			if accounts[i], errs[i] = h.source.find(ctx, question(h)); errs[i] != nil {
				errs[i] = fmt.Errorf("directory %q: %w", h.Name, errs[i])
			}
		})
	}
	asked.Wait()
	return pickOne(accounts, errs, which)
}

// pickOne returns the only account among the answers of all directories. Who cannot tell is looked at first: an answer
// that counts without theirs would tell an address that two accounts share from all others while a directory is away.
func pickOne(accounts []*Account, errs []error, which string) (*Account, error) {
	for _, err := range errs {
		if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrAmbiguous) {
			return nil, err
		}
	}
	var found *Account
	for i, err := range errs {
		switch {
		case err == nil && found != nil && found.ID != accounts[i].ID:
			return nil, fmt.Errorf("directory: %w: %q and %q", ErrAmbiguous, found.Directory, accounts[i].Directory)
		case err == nil && found == nil:
			found = accounts[i]
		case errors.Is(err, ErrAmbiguous):
			return nil, err
		}
	}
	if found == nil {
		return nil, fmt.Errorf("directory: %w %s", ErrNotFound, which)
	}
	return found, nil
}

// Authenticate asks the account's directory whether the password is right, at once and every time:
// nothing about passwords is remembered. It returns nil if it is, and else an error wrapping
// [ErrPasswordWrong], [ErrPasswordEmpty] or [ErrUnavailable].
func (s *Set) Authenticate(ctx context.Context, a *Account, password string) error {
	// A password that begins with NUL is empty to a directory that is written in C.
	if password == "" || password[0] == 0 {
		return fmt.Errorf("directory: %w", ErrPasswordEmpty)
	}
	if a == nil || a.DN == "" { // RFC 4513 section 5.1.1: a bind without a name is anonymous
		return fmt.Errorf("directory: %w: account without a name", ErrPasswordWrong)
	}
	for _, h := range s.homes {
		if h.Name != a.Directory {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, h.Timeout)
		defer cancel()
		if err := h.source.authenticate(ctx, a.DN, password); err != nil {
			return fmt.Errorf("directory %q: %w", h.Name, err)
		}
		return nil
	}
	return fmt.Errorf("directory: %w: no directory %q", ErrUnavailable, a.Directory)
}

// Health asks every directory for next to nothing, all at once, and returns by name what is wrong
// with it: nil, or an error wrapping [ErrUnavailable].
func (s *Set) Health(ctx context.Context) map[string]error {
	errs := make([]error, len(s.homes))
	var asked sync.WaitGroup
	for i, h := range s.homes {
		asked.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, h.Timeout)
			defer cancel()
			errs[i] = h.source.health(ctx)
		})
	}
	asked.Wait()
	health := make(map[string]error, len(s.homes))
	for i, h := range s.homes {
		health[h.Name] = errs[i]
	}
	return health
}

// Close closes all connections. Whatever is under way fails with [ErrUnavailable].
func (s *Set) Close() error {
	for _, h := range s.homes {
		h.close()
	}
	return nil
}

// observed is a source whose operations are measured.
type observed struct {
	source
	metrics *metrics
}

func (o *observed) find(ctx context.Context, l lookup) (a *Account, err error) {
	defer func(begin time.Time) { o.metrics.observe(l.operation, begin, err) }(o.metrics.now())
	return o.source.find(ctx, l)
}

func (o *observed) authenticate(ctx context.Context, dn, password string) (err error) {
	defer func(begin time.Time) { o.metrics.observe(opBind, begin, err) }(o.metrics.now())
	return o.source.authenticate(ctx, dn, password)
}

func (o *observed) health(ctx context.Context) (err error) {
	defer func(begin time.Time) { o.metrics.observe(opHealth, begin, err) }(o.metrics.now())
	return o.source.health(ctx)
}
