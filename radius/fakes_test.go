package radius

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/ipv4"

	"otpgate/directory"
	"otpgate/otp"
	"otpgate/otp/audit"
	"otpgate/otp/keyset"
	"otpgate/radius/challenge"
	"otpgate/radius/mmsg"
	"otpgate/radius/posture"
)

const (
	testSecret = "correct horse battery staple"
	testCode   = "123456"
)

// fakeAccounts is a directory whose faults the test decides.
type fakeAccounts struct {
	mu            sync.Mutex
	known         map[string]*directory.Account // FindKnown and Find
	remote        map[string]*directory.Account // Find only
	findErr       map[string]error
	passwords     map[string]string
	authErr       error
	recall        func()                                 // before FindAllKnown
	find          func(ctx context.Context, name string) // may block
	slow          time.Duration                          // how long a bind takes
	bind          func()                                 // may block
	authenticated []string                               // account id and password of every bind
	allowed       [][]string
}

func (f *fakeAccounts) FindKnown(name string, allowed []string) (*directory.Account, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.allowed = append(f.allowed, allowed)
	a, ok := f.known[name]
	return a, ok
}

func (f *fakeAccounts) FindAllKnown(questions []directory.Question, found []*directory.Account) {
	if f.recall != nil {
		f.recall()
	}
	for i, q := range questions {
		found[i], _ = f.FindKnown(q.Name, q.Allowed)
	}
}

func (f *fakeAccounts) Find(ctx context.Context, name string, _ []string) (*directory.Account, error) {
	return f.findAfter(ctx, f.find, name)
}

func (f *fakeAccounts) findAfter(ctx context.Context, before func(context.Context, string), name string) (*directory.Account, error) {
	if before != nil {
		before(ctx, name)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", directory.ErrUnavailable, ctx.Err())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.findErr[name]; err != nil {
		return nil, err
	}
	if a := f.known[name]; a != nil {
		return a, nil
	}
	if a := f.remote[name]; a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("fake: %w", directory.ErrNotFound)
}

// FindAll asks about each beside the others. What one panics with, only its own asker is told of.
func (f *fakeAccounts) FindAll(base context.Context, questions []directory.Question, asker directory.Asker) {
	before := f.find // the test may change it when it has the answers
	for _, q := range questions {
		go func() {
			ctx, cancel := context.WithTimeout(base, q.Patience)
			defer cancel()
			found := make(chan directory.Answer, 1)
			go func() {
				answer := directory.Answer{Of: q.Of}
				defer func() {
					if p := recover(); p != nil {
						answer.Err = fmt.Errorf("%w: %v", directory.ErrUnavailable, p)
					}
					found <- answer
				}()
				answer.Account, answer.Err = f.findAfter(ctx, before, q.Name)
			}()
			var answer directory.Answer
			select {
			case answer = <-found:
			case <-ctx.Done():
				answer = directory.Answer{Of: q.Of, Err: fmt.Errorf("%w: %w", directory.ErrUnavailable, ctx.Err())}
			}
			asker.Found([]directory.Answer{answer})
		}()
	}
}

func (f *fakeAccounts) Authenticate(_ context.Context, a *directory.Account, password string) error {
	f.mu.Lock()
	slow, bind := f.slow, f.bind
	f.mu.Unlock()
	if bind != nil {
		bind()
	}
	<-time.After(slow)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.authenticated = append(f.authenticated, a.ID+" "+password)
	switch {
	case f.authErr != nil:
		return f.authErr
	case password == "":
		return directory.ErrPasswordEmpty
	case f.passwords[a.ID] != password:
		return directory.ErrPasswordWrong
	}
	return nil
}

func (f *fakeAccounts) binds() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.authenticated)
}

// fakeCodes is a verifier with fixed codes, each good for one token.
type fakeCodes struct {
	mu            sync.Mutex
	codes         map[string][]string // account to the codes of its devices
	unknown       map[string]bool     // accounts whose devices WalkKnown does not know
	used          map[string]otp.Token
	stale         int // how many answers of Settle are Stale from now on
	err           error
	wrong         []string    // accounts of every WrongPassword
	counted       []otp.Token // of those that count
	settled       []int       // size of every Settle
	settle        func(ctx context.Context, walked []otp.Walked)
	result        *otp.Result // what Settle says about everybody, if set
	walkPanic     string      // the account whose walk panics
	walking       func(account string)
	throttleAfter int             // so many wrong factors make every place wait; 0: never
	right         []otp.Attempt   // of every RightFactor
	rightResult   *otp.Result     // what RightFactor says, if set
	throttled     bool            // every place has to wait
	places        []otp.Place     // that CheckPlace was asked about
	factors       []string        // accounts of every WrongFactor
	spent         map[[8]byte]int // wrong codes of each challenge
}

func (f *fakeCodes) Place(parts ...string) (p otp.Place) {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	copy(p[:], sum[:])
	return p
}

func (f *fakeCodes) Token(parts ...[]byte) (t otp.Token) {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	copy(t[:], h.Sum(nil))
	return t
}

func (f *fakeCodes) Expect([]string) {}

func (f *fakeCodes) WalkKnown(a otp.Attempt) (otp.Walked, bool) {
	if f.walking != nil {
		f.walking(a.Account)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if a.Account == f.walkPanic {
		panic("walk: " + string(a.Proof.Octets()))
	}
	if f.unknown[a.Account] {
		return otp.Walked{}, false
	}
	return f.walk(a), true
}

func (f *fakeCodes) Walk(_ context.Context, a otp.Attempt) (otp.Walked, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.walk(a), f.err
}

func (f *fakeCodes) WalkAll(ctx context.Context, as []otp.Attempt) ([]otp.Walked, []error) {
	walked, errs := make([]otp.Walked, len(as)), make([]error, len(as))
	for i, a := range as {
		walked[i], errs[i] = f.Walk(ctx, a)
	}
	return walked, errs
}

func (f *fakeCodes) walk(a otp.Attempt) otp.Walked {
	w := otp.Walked{Attempt: a, Devices: len(f.codes[a.Account])}
	for i, code := range f.codes[a.Account] {
		if a.Proof.Match([]byte(code)) {
			w.Matches = append(w.Matches, otp.Match{Device: fmt.Sprintf("device%d", i+1), Digits: len(code), Step: 1})
		}
	}
	return w
}

func (f *fakeCodes) Settle(ctx context.Context, walked []otp.Walked) []otp.Result {
	if f.settle != nil {
		f.settle(ctx, walked)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settled = append(f.settled, len(walked))
	results := make([]otp.Result, len(walked))
	for i, w := range walked {
		results[i] = f.claim(ctx, w)
	}
	return results
}

func (f *fakeCodes) claim(ctx context.Context, w otp.Walked) otp.Result {
	switch {
	case ctx.Err() != nil:
		return otp.Result{Reason: otp.ReasonStoreUnavailable, Err: ctx.Err()}
	case f.result != nil:
		return *f.result
	case f.err != nil:
		return otp.Result{Reason: otp.ReasonStoreUnavailable, Err: f.err}
	case f.stale > 0:
		f.stale--
		return otp.Result{Stale: true}
	case w.Devices == 0:
		return otp.Result{Reason: otp.ReasonNoDevice}
	case w.Challenge.Given() && f.spent[w.Challenge.ID] >= w.Challenge.Tries:
		return otp.Result{Reason: otp.ReasonChallengeSpent}
	case len(w.Matches) == 0 && w.Challenge.Given():
		f.spent[w.Challenge.ID]++
		return otp.Result{Reason: otp.ReasonCodeWrong, TriesLeft: w.Challenge.Left(f.spent[w.Challenge.ID])}
	case len(w.Matches) == 0:
		return otp.Result{Reason: otp.ReasonCodeWrong}
	}
	for _, m := range w.Matches {
		if by, used := f.used[w.Account+"/"+m.Device]; used && by != w.Token {
			return otp.Result{Reason: otp.ReasonCodeUsed, Match: m, TriesLeft: w.Challenge.Left(f.spent[w.Challenge.ID])}
		}
	}
	m := w.Matches[0]
	key := w.Account + "/" + m.Device
	_, again := f.used[key]
	f.used[key] = w.Token
	if w.Challenge.Given() {
		f.spent[w.Challenge.ID] = w.Challenge.Tries
	}
	return otp.Result{OK: true, Reason: otp.ReasonOK, Match: m, Again: again}
}

func (f *fakeCodes) WrongPassword(_ context.Context, w otp.Walked) otp.Result {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wrong = append(f.wrong, w.Account)
	if f.err != nil {
		return otp.Result{Reason: otp.ReasonStoreUnavailable, Err: f.err}
	}
	if len(f.counted) >= otp.MaxWrongPasswords {
		return otp.Result{Reason: otp.ReasonCodeUsed, Match: w.Matches[0]}
	}
	if !slices.Contains(f.counted, w.Token) { // the same token counts once
		f.counted = append(f.counted, w.Token)
	}
	return otp.Result{Reason: otp.ReasonPasswordWrong, Match: w.Matches[0]}
}

func (f *fakeCodes) Verify(ctx context.Context, a otp.Attempt) otp.Result {
	w, err := f.Walk(ctx, a)
	if err != nil {
		return otp.Result{Reason: otp.ReasonStoreUnavailable, Err: err}
	}
	for range 3 {
		if r := f.Settle(ctx, []otp.Walked{w})[0]; !r.Stale {
			return r
		}
	}
	return otp.Result{Reason: otp.ReasonStoreUnavailable}
}

// Preview, CheckPlace and WrongFactor: the place has to wait when the test says so.
func (f *fakeCodes) Preview(_ context.Context, w otp.Walked) otp.Result {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.err != nil:
		return otp.Result{Reason: otp.ReasonStoreUnavailable, Err: f.err}
	case f.throttled:
		return otp.Result{Reason: otp.ReasonThrottled, Until: time.Unix(1_700_000_000, 0)}
	case len(w.Matches) == 0:
		return otp.Result{Reason: otp.ReasonCodeWrong}
	case len(f.counted) >= otp.MaxWrongPasswords:
		return otp.Result{Reason: otp.ReasonCodeUsed, Match: w.Matches[0]}
	}
	for _, m := range w.Matches {
		if by, used := f.used[w.Account+"/"+m.Device]; used && by != w.Token {
			return otp.Result{Reason: otp.ReasonCodeUsed, Match: m}
		}
	}
	return otp.Result{Reason: otp.ReasonOK, Match: w.Matches[0]}
}

func (f *fakeCodes) CheckPlace(_ context.Context, _ string, place otp.Place) otp.Result {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.places = append(f.places, place)
	switch {
	case f.err != nil:
		return otp.Result{Reason: otp.ReasonStoreUnavailable, Err: f.err}
	case f.throttled:
		return otp.Result{Reason: otp.ReasonThrottled, Until: time.Unix(1_700_000_000, 0)}
	}
	return otp.Result{Reason: otp.ReasonOK}
}

func (f *fakeCodes) WrongFactor(_ context.Context, a otp.Attempt) otp.Result {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.factors = append(f.factors, a.Account)
	f.throttled = f.throttled || f.throttleAfter > 0 && len(f.factors) >= f.throttleAfter
	return otp.Result{Reason: otp.ReasonPasswordWrong}
}

func (f *fakeCodes) Look(ctx context.Context, a otp.Attempt) (otp.Walked, error) {
	return f.Walk(ctx, a)
}

func (f *fakeCodes) RightFactor(_ context.Context, a otp.Attempt) otp.Result {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.right = append(f.right, a)
	if f.rightResult != nil {
		return *f.rightResult
	}
	return otp.Result{Reason: otp.ReasonOK}
}

func (f *fakeCodes) batches() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.settled)
}

// fakeAudit keeps events in memory.
type fakeAudit struct {
	mu     sync.Mutex
	events []audit.Event
	calls  int
	err    error
}

func (f *fakeAudit) Record(_ context.Context, events ...audit.Event) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if f.err != nil {
		return f.err
	}
	f.events = append(f.events, events...)
	return nil
}

func (f *fakeAudit) Keep(ctx context.Context, events ...audit.Event) error {
	return f.Record(ctx, events...)
}

func (f *fakeAudit) all() []audit.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.events)
}

// last is decision and reason of the newest event.
func (f *fakeAudit) last(t testing.TB) string {
	t.Helper()
	all := f.all()
	if len(all) == 0 {
		t.Fatal("nothing was recorded")
	}
	e := all[len(all)-1]
	return e.Decision + " " + string(e.Reason)
}

// world is a server with everything around it in the hands of the test.
type world struct {
	*Server
	accounts *fakeAccounts
	codes    *fakeCodes
	trail    *fakeAudit
	registry *prometheus.Registry
	logged   *lines
}

// lines collects a log.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func account(id string) *directory.Account {
	return &directory.Account{ID: id + "-id", Name: id, Directory: "corp"}
}

func testClients() []Client {
	return []Client{
		{Name: "vpn", Networks: prefixes("127.0.0.0/8", "192.0.2.0/24", "::1/128", "2001:db8:1::/64"), Secret: []byte(testSecret)},
		{Name: "old", Networks: prefixes("198.51.100.0/25"), Secret: []byte(testSecret), MessageAuthenticator: Optional},
		{Name: "concat", Networks: prefixes("198.51.100.128/25", "127.0.0.3/32"), Secret: []byte(testSecret), Login: LoginPasswordCode},
		{Name: "then", Networks: prefixes("203.0.114.0/25"), Secret: []byte(testSecret), Login: LoginPasswordThenCode},
	}
}

func prefixes(texts ...string) (ps []netip.Prefix) {
	for _, s := range texts {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

// newWorld makes a server that nobody serves yet. change may alter the options and the fakes.
func newWorld(t testing.TB, change ...func(*Options, *world)) *world {
	t.Helper()
	w := &world{
		accounts: &fakeAccounts{
			known: map[string]*directory.Account{
				"alice": account("alice"), "müller": account("müller"), "nodevice": account("nodevice"),
				"bob": {ID: "bob-id", Name: "bob", Disabled: true},
			},
			remote:    map[string]*directory.Account{"carol": account("carol")},
			findErr:   map[string]error{},
			passwords: map[string]string{"alice-id": "geheim", "carol-id": "geheim", "müller-id": "grün"},
		},
		codes: &fakeCodes{
			codes: map[string][]string{
				"alice-id": {testCode}, "carol-id": {testCode}, "müller-id": {testCode}, "bob-id": {testCode},
			},
			unknown: map[string]bool{}, used: map[string]otp.Token{}, spent: map[[8]byte]int{},
		},
		trail:    &fakeAudit{},
		registry: prometheus.NewRegistry(),
		logged:   &lines{},
	}
	o := Options{
		Listen: []string{"127.0.0.1:0"}, Clients: testClients(),
		Accounts: w.accounts, Codes: w.codes, Previews: w.codes, Factors: w.codes, Audit: w.trail,
		States: testStates(t), Posture: testPosture(t),
		Logger: slog.New(slog.NewTextHandler(w.logged, nil)), Registerer: w.registry, Now: time.Now,
	}
	for _, f := range change {
		f(&o, w)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	w.Server = s
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		noSecrets(t, w.logged.String())
	})
	return w
}

// noSecrets fails the test when a log holds what nobody may read.
func noSecrets(t testing.TB, log string) {
	t.Helper()
	for _, secret := range []string{testSecret, testCode, "geheim"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q:\n%s", secret, log)
		}
	}
}

// serve starts the server and returns its first address.
func (w *world) serve(t testing.TB) string {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- w.Serve() }()
	t.Cleanup(func() { // runs before the one of newWorld
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := w.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	// A shutdown that overtakes it would be an error of the test.
	eventually(t, "it serves", func() bool {
		w.Server.mu.Lock()
		defer w.Server.mu.Unlock()
		return w.Server.cancel != nil
	})
	return w.Addrs()[0].String()
}

// wire is a socket in memory: it keeps what is written.
type wire struct {
	readErrs []error // one for each read; then the socket is closed

	mu      sync.Mutex
	written [][]byte
}

func (w *wire) ReadBatch([]ipv4.Message, int) (int, error) {
	if len(w.readErrs) == 0 {
		return 0, net.ErrClosed
	}
	err := w.readErrs[0]
	w.readErrs = w.readErrs[1:]
	return 0, err
}

func (w *wire) SetReadDeadline(time.Time) error { return nil }
func (w *wire) Close() error                    { return nil }

func (w *wire) WriteBatch(ms []ipv4.Message, _ int) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range ms {
		for _, octets := range m.Buffers {
			w.written = append(w.written, slices.Clone(octets))
		}
	}
	return len(ms), nil
}

func (w *wire) take() [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.written
	w.written = nil
	return out
}

// newWire returns a reader of w's server on a socket in memory.
func newWire(s *Server) (*testReader, *wire) {
	out := &wire{}
	k := &socket{batchConn: out, local: netip.MustParseAddrPort("192.0.2.254:1812"), takes: forLogins}
	k.pool.New = func() any { return new(mmsg.Outgoing) }
	return &testReader{&reader{Server: s, takes: forLogins}, k}, out
}

// testReader is a reader with its socket.
type testReader struct {
	*reader
	socket *socket
}

// sort takes what the socket would have read, and returns the attempts.
func (r *testReader) sort(in []ipv4.Message) []*attempt {
	r.reader.receive(r.socket, in)
	batch := r.logins
	r.logins = nil
	if batch == nil {
		return nil
	}
	defer r.endBatch(batch)
	return slices.Clone(batch.came)
}

// login takes attempts through all stages, as one batch.
func (w *world) login(ctx context.Context, came []*attempt) {
	b := w.newBatch()
	b.came = append(b.came, came...)
	newTalk(b, false)
	w.Server.login(ctx, b)
}

// testStates seals with keys of its own.
func testStates(t testing.TB) *challenge.Sealer {
	t.Helper()
	keys, _, err := keyset.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	states, err := challenge.New(challenge.Options{Keys: keys, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return states
}

// datagramFrom is what the socket would have read.
func datagramFrom(from string, octets []byte) ipv4.Message {
	return ipv4.Message{
		Buffers: [][]byte{octets}, N: len(octets),
		Addr: net.UDPAddrFromAddrPort(netip.MustParseAddrPort(from)),
	}
}

// feed sends packets through the server as one batch, each from a port of its own so that none
// supersedes another, waits until all of it is over, and returns what was written.
func (w *world) feed(from string, packets ...[]byte) [][]byte {
	r, out := newWire(w.Server)
	var in []ipv4.Message
	addr := netip.MustParseAddrPort(from)
	for i, p := range packets {
		from := netip.AddrPortFrom(addr.Addr(), addr.Port()+uint16(i))
		in = append(in, datagramFrom(from.String(), slices.Clone(p)))
	}
	if batch := r.sort(in); len(batch) > 0 {
		w.login(context.Background(), batch)
	}
	w.work.Wait()
	return out.take()
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

// testPosture is a ledger that has read an empty store, and knows of nobody that he signs.
func testPosture(t testing.TB) *posture.Ledger {
	t.Helper()
	l, err := posture.New(posture.Options{Notes: noNotes{}, Node: "test", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// noNotes is a store that keeps no notes.
type noNotes struct{}

func (noNotes) PutNotes(context.Context, []otp.Note) error { return nil }
func (noNotes) Notes(context.Context, string, string, time.Time) ([]otp.Note, error) {
	return nil, nil
}
