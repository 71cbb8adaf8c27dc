package radius

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"

	"otpgate/directory"
	"otpgate/radius/duplicates"
	"otpgate/radius/pace"
	"otpgate/radius/postmark"
)

// readPause is how long a reader waits after an error that is not its end.
const readPause = 10 * time.Millisecond

// reader sorts what one transport has brought. Every packet ends in exactly one of five counters:
// discarded, duplicates, Status-Server, attempts, accounting. It is for one goroutine.
type reader struct {
	*Server
	takes   service
	logins  *batch // nil: none
	reports []*report
	answers []answer  // to packets that need no work; reused
	current arrival   // what is being sorted; reused, so that a stranger's packet costs no memory
	broken  bool      // a packet over TLS was not right, which ends its connection
	wall    time.Time // the machine's clock when packets were last read; zero: nobody tells
}

// arrival is a packet with what its transport knows of it.
type arrival struct {
	octets []byte
	client *client // nil: nobody's
	source netip.AddrPort
	local  netip.AddrPort
	tls    bool
	way    answer // everything of the reply but its octets
	now    time.Time
	lay    time.Duration // how long it was in the kernel before it was read
}

// batch is logins that go through the stages together, by what is next for each.
type batch struct {
	came              []*attempt           // and were not looked at yet
	names             []directory.Question // of those that came, while they are looked at
	known             []*directory.Account // who they are, as far as it is known
	ids               []string             // of them
	decided, walked   []*attempt
	unknown, unloaded []*attempt
	talk              *talk // with its reader
}

// newBatch lends an empty one.
func (s *Server) newBatch() *batch {
	b, _ := s.batches.Get().(*batch)
	if b == nil {
		b = &batch{
			came: make([]*attempt, 0, batchSize), walked: make([]*attempt, 0, batchSize),
			names: make([]directory.Question, 0, batchSize), known: make([]*directory.Account, 0, batchSize), ids: make([]string, 0, batchSize),
		}
	}
	return b
}

// endBatch takes it back. Those who wait for a peer have their lists.
func (s *Server) endBatch(b *batch) {
	for _, list := range [...][]*attempt{b.decided, b.walked} {
		clear(list)
	}
	b.forget()
	*b = batch{came: b.came, names: b.names, known: b.known, ids: b.ids, decided: b.decided[:0], walked: b.walked[:0]}
	s.batches.Put(b)
}

// forget makes room for others that come.
func (b *batch) forget() {
	clear(b.came)
	clear(b.names)
	clear(b.known)
	clear(b.ids)
	b.came, b.names, b.known, b.ids = b.came[:0], b.names[:0], b.known[:0], b.ids[:0]
}

// talk is what the goroutine of a batch and its reader say to each other, while the reader has nothing else to do. Who
// speaks has the batch until the other one answers.
type talk struct {
	batch   *batch
	worth   bool          // there may be more to read: the goroutine asks
	looked  chan struct{} // by the goroutine: it has looked at all that came
	read    chan bool     // by the reader: more came
	claimed chan struct{} // closed by the goroutine: the claims are answered, whatever they are
	left    chan struct{} // closed by the reader: it answers no more
}

func newTalk(b *batch, worth bool) *talk {
	b.talk = &talk{
		batch: b, worth: worth,
		looked: make(chan struct{}), read: make(chan bool), claimed: make(chan struct{}), left: make(chan struct{}),
	}
	return b.talk
}

// more asks the reader for what has come meanwhile, and reports whether there is some.
func (t *talk) more() bool {
	if !t.worth {
		return false
	}
	select {
	case t.looked <- struct{}{}:
		return <-t.read
	case <-t.left:
		return false
	}
}

// read receives batches from a socket until the server shuts down.
func (s *Server) read(ctx context.Context, k *socket) error {
	r := &reader{Server: s, takes: k.takes}
	in := k.messages()
	s.discardBacklog(k, in)
	pause, patience := pace.New(), time.NewTimer(time.Hour)
	defer pause.Close()
	defer patience.Stop()
	for {
		n, err := k.ReadBatch(in, 0)
		if err != nil {
			select {
			case <-s.closing: // which put the read deadline into the past
				return nil
			case <-time.After(readPause):
			}
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			if s.quiet.reading.Allow(s.now()) {
				s.logger.Error("read failed", "address", k.local.String(), "error", err)
			}
			continue
		}
		begun := s.now()
		r.receive(k, in[:n])
		if t := r.start(ctx, n >= worthMore && n < len(in)); t != nil && n < len(in) {
			room := roomFor(r.attend(ctx, k, in, n, t, patience))
			pause.For(min(room-s.now().Sub(begun), room))
		}
	}
}

// How long a reader leaves what comes to the kernel, once it has read logins: it is the next batch. What a batch
// costs beside its logins is several times what one login costs, so that a busy node does more with fewer of
// them; to whoever logs in it makes no difference that they could notice. One that comes alone waits for nothing,
// and a full batch for nothing either. While the store is busy with others, as where several nodes share it, batches
// grow as its answers take longer, up to the second bound. What comes meanwhile lies in the receive buffer, which has
// room for what a million packets a second bring in that time, if the kernel allows it the size that we ask for.
const (
	gatherTime = 700 * time.Microsecond // since the last batch was read, if it was small: see roomFor
	claimTime  = 8 * time.Millisecond   // and until its claims are answered, but a store that is slower than that holds nobody up
)

// roomFor is how long a batch leaves room for the next one, by how many packets it has: the more there are, the less it
// matters what each batch costs, and from half of what fits on there is so much to do that to wait would leave
// the processor idle.
func roomFor(packets int) time.Duration {
	const plenty = batchSize / 2
	return gatherTime * time.Duration(max(plenty-packets, 0)) / plenty
}

// worthMore is how many packets a system call has to bring for another one to follow: where they come one by one, there
// is nothing to be had.
const worthMore = 4

// attend hands a batch of so many packets what comes while it is looked at, as much as fits into in, and returns how many
// they are in all. It waits until the claims are answered, for claimTime at most, and not for a full one: the next
// may not have to wait for somebody's long computation, or for a slow store.
func (r *reader) attend(ctx context.Context, k *socket, in []ipv4.Message, got int, t *talk, patience *time.Timer) (all int) {
	defer close(t.left)
	patience.Reset(claimTime)
	for all = got; all < len(in); {
		select {
		case <-t.claimed:
			return all
		case <-patience.C:
			return all
		case <-t.looked:
			got = r.readOn(ctx, k, in[:len(in)-all], t.batch)
			all += got
			t.worth = got >= worthMore && all < len(in)
			t.read <- got > 0
		}
	}
	return all
}

// readOn adds to a batch what can be read without waiting. An error that stays is for the next to find, who waits.
func (r *reader) readOn(ctx context.Context, k *socket, in []ipv4.Message, b *batch) (got int) {
	got, err := k.ReadBatch(in, syscall.MSG_DONTWAIT)
	if err != nil {
		return 0
	}
	r.logins = b
	r.receive(k, in[:got])
	r.logins = nil
	r.startReports(ctx)
	return got
}

// receive sorts what one system call has read. The buffers may be used again when it returns.
func (r *reader) receive(k *socket, in []ipv4.Message) {
	now := r.now()
	if r.options.Wall != nil {
		r.wall = r.options.Wall()
	}
	r.metrics.receivedUDP.Add(float64(len(in)))
	for i := range in {
		r.datagram(k, &in[i], now)
	}
	r.answer()
}

// datagram sorts one of them.
func (r *reader) datagram(k *socket, m *ipv4.Message, now time.Time) {
	r.take(k, func(p *arrival) bool { return r.addressed(k, m, now, p) })
}

// addressed fills in a packet with where it came from; false when it came from nowhere that is known, or that can
// be answered.
func (r *reader) addressed(k *socket, m *ipv4.Message, now time.Time, p *arrival) bool {
	mark := postmark.Read(m.OOB[:m.NN])
	if n := k.dropped.Since(mark); n > 0 {
		r.metrics.kernelDropped.Add(float64(n))
	}
	peer, ok := m.Addr.(*net.UDPAddr)
	if !ok {
		r.discard(discardUnknownClient, nil, netip.Addr{}, now)
		return false
	}
	from := peer.AddrPort()
	if from.Port() == 0 { // RFC 768: the sender wants no answer
		r.discard(discardNoPort, nil, from.Addr().Unmap(), now)
		return false
	}
	p.octets, p.source, p.now = m.Buffers[0][:m.N], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), now
	p.lay = mark.Age(r.wall)
	p.client = r.table.Load().find(p.source.Addr())
	if p.client != nil { // a stranger costs no more than this
		local, control := k.arrivedAt(m)
		p.local = netip.AddrPortFrom(local, k.local.Port())
		p.way = answer{via: k, peer: from, control: control}
	}
	return true
}

// start works on what was received, and forgets it. worth says that there may be more to read, which [reader.attend]
// must see to. Nil: there are no logins.
func (r *reader) start(ctx context.Context, worth bool) (t *talk) {
	if b := r.logins; b != nil {
		r.logins, t = nil, newTalk(b, worth)
		r.run(func() { r.login(ctx, b) })
	}
	r.startReports(ctx)
	return t
}

func (r *reader) startReports(ctx context.Context) {
	if reports := r.reports; len(reports) > 0 {
		r.reports = nil
		r.run(func() { r.account(ctx, reports) })
	}
}

// answer sends what could be answered at once.
func (r *reader) answer() {
	answers := r.answers
	for len(answers) > 0 { // all of one transport but in tests
		n := 1
		for n < len(answers) && answers[n].via == answers[0].via {
			n++
		}
		r.transmit(answers[0].via, answers[:n])
		answers = answers[n:]
	}
	clear(r.answers)
	r.answers = r.answers[:0]
}

// take takes one packet as far as it goes without a peer: it becomes an attempt or a report, which
// has a slot and an entry among the duplicates, or an answer, or there is nothing left to do.
func (r *reader) take(via transport, next func(*arrival) bool) {
	kept := false
	defer func() {
		if p := recover(); p != nil {
			r.panicked(p)
			r.metrics.discarded[discardPanic].Inc()
			kept = false
		}
		if !kept {
			via.ended()
		}
	}()
	r.current = arrival{}
	if next(&r.current) {
		kept = r.packet(&r.current)
	}
}

// packet is false when nothing more will be done about p.
func (r *reader) packet(p *arrival) (kept bool) {
	if why, ok := precheck(p.octets, r.takes); !ok {
		r.discard(why, p.client, p.source.Addr(), p.now)
		return false
	}
	if p.client == nil {
		r.discard(discardUnknownClient, nil, p.source.Addr(), p.now)
		return false
	}
	if p.lay >= r.patience(p.client) && p.octets[0] != codeAccountingRequest { // which is worth recording at any age
		r.discard(discardStale, p.client, p.source.Addr(), p.now)
		return false
	}
	turn, flooded := false, false // an attempt needs a turn, has none
	if p.octets[0] == codeAccessRequest {
		turn, flooded = r.flooded(p)
	}
	if flooded {
		r.discard(discardClientShare, p.client, p.source.Addr(), p.now)
		return false
	}
	in, why, ok := admit(p.octets, p.client, p.tls)
	if !ok {
		r.broken = r.broken || why.breaks()
		r.discard(why, p.client, p.source.Addr(), p.now)
		return false
	}
	if turn && !p.client.waits.Turn(p.now) { // taken now, so that nobody who forges an address takes them all
		r.discard(discardClientShare, p.client, p.source.Addr(), p.now)
		return false
	}
	if in.octets[0] == codeStatusServer {
		r.status(in, p)
		return true
	}
	return r.begin(in, p)
}

// flooded reports whether a login is one too many of a client whose logins are mostly in vain, such as those of
// names that nobody has, or else whether it needs a turn. That is found out before anything is computed, because a
// flood of packets that are authentic is the most expensive one; nothing is believed that is not: at worst one is
// turned away that comes again. Who answers a challenge goes on, and so does, where the directory is asked in vain,
// who is known without it.
func (r *reader) flooded(p *arrival) (turn, flooded bool) {
	c := p.client
	quick, waits := r.prompt.Crowded(&c.quick), c.waits.InVain()
	if !quick && !waits {
		return false, false
	}
	octets, ok := measured(p.octets)
	if !ok {
		return false, false // which is another reason
	}
	f, ok := walk(octets)
	switch {
	case !ok || f.states > 0:
		return false, false
	case quick:
		return false, true
	case r.knows(c, f.name):
		return false, false
	}
	return true, !c.waits.Turns(p.now)
}

// knows reports whether a name can be answered about without a directory.
func (r *reader) knows(c *client, name []byte) bool {
	text, ok := c.Charset.read(name)
	if !ok {
		return false
	}
	decoded, err := directory.DecodeName(text)
	if err != nil {
		return false
	}
	_, ok = r.accounts.FindKnown(decoded, c.Directories)
	return ok
}

// begin makes an attempt or a report of an authentic packet, unless it is a duplicate or there is
// no slot for it.
func (r *reader) begin(in admitted, p *arrival) (kept bool) {
	entry, known, reply := r.duplicates.Begin(duplicates.KeyOf(p.source, p.local, in.octets[0], in.octets[1]), in.octets, p.now)
	switch known {
	case duplicates.Answered:
		p.way.octets = reply
		r.answers = append(r.answers, p.way)
		r.metrics.resent.Inc()
		return true
	case duplicates.InFlight:
		r.metrics.inFlight.Inc()
		return false
	}
	p.way.entry = entry
	var asked *opened
	reports, first := in.octets[0] == codeAccountingRequest, false
	if len(in.state) > 0 && !reports {
		// Who was asked for a code has given a password already, and goes first (RFC 5080 section 2.2.3).
		asked = new(opened)
		asked.State, asked.err = r.states.Open(in.state, p.client.Name)
		first = asked.err == nil
	}
	if why, ok := r.enter(p, reports, first); !ok {
		r.duplicates.Forget(entry)
		r.discard(why, p.client, p.source.Addr(), p.now)
		return false
	}
	defer func() {
		if !kept { // also after a panic
			r.turnBack(p, reports)
			r.duplicates.Forget(entry)
		}
	}()
	if reports {
		return r.beginReport(in, p)
	}
	a := r.newAttempt(in, p)
	a.asked = asked
	if a.request.station == "" && !a.request.state {
		r.missPlace(p.client, p.source.Addr(), p.now)
	}
	a.room, a.share = r.prompt, &p.client.quick
	if r.logins == nil {
		r.logins = r.newBatch()
	}
	r.logins.came = append(r.logins.came, a)
	return true
}

// status answers Status-Server, also when there is no slot: it is how a proxy finds out whether
// we are there (RFC 5997 section 4). It changes nothing, so it is not remembered either.
func (r *reader) status(in admitted, p *arrival) {
	var err error
	if p.way.octets, err = p.client.sealStatus(in, r.takes); err != nil {
		panic(err) // the octets are well-formed, and the reply is no longer than they are
	}
	r.answers = append(r.answers, p.way)
	r.metrics.statusServer.Inc()
}

// Bounds of what a reader throws away before it begins. The kernel keeps some 11,000 small
// datagrams in a receive buffer of the size that we ask for.
const (
	maxBacklog  = 1 << 14
	backlogTime = 500 * time.Millisecond
)

// discardBacklog throws away what has come in between New and Serve, when that was so long that
// nobody may wait for the answer any more: it would use up the step of somebody who has long been
// asked for another code. The queue does not tell how old a datagram is, so those that are not old
// yet go too: gateways send again what they still want.
func (s *Server) discardBacklog(k *socket, in []ipv4.Message) {
	begun := s.now()
	if begun.Sub(s.bound) < s.options.Budget {
		return
	}
	discarded := 0
	for discarded < maxBacklog && s.now().Sub(begun) < backlogTime {
		n, err := k.ReadBatch(in, syscall.MSG_DONTWAIT)
		discarded += max(n, 0)
		if err != nil || n < len(in) {
			break // an error that stays is for the reader to find
		}
	}
	if discarded == 0 {
		return
	}
	s.metrics.discarded[discardBeforeStart].Add(float64(discarded))
	s.metrics.receivedUDP.Add(float64(discarded))
	s.logger.Warn("packets discarded", "address", k.local.String(), "packets", discarded,
		"reason", discardBeforeStart.String(), "hint", discardBeforeStart.hint())
}
