package gateway

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"otpgate/cmd/radload/port"
)

// sweep is how often what is due is looked for.
const sweep = 5 * time.Millisecond

// run is one load from its beginning to its end.
type run struct {
	options Options
	lanes   []*lane
	nas     []byte
	seed    maphash.Seed // of sums of answers
	began   time.Time
	end     atomic.Int64 // when nothing new begins, in nanoseconds since began
	count   atomic.Int64 // logins begun
	home    atomic.Uint64
	usedUp  atomic.Bool // nobody is left who has not logged in
	all     atomic.Bool // no login is left to begin: as many have as were asked for, or could

	lastAccept, silence atomic.Int64 // when somebody got in last, and how long nobody did at most
}

// Run loads the servers, and returns what came of it. It ends early, without an error, when ctx does.
func Run(ctx context.Context, o Options) (*Result, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	r := &run{options: o, nas: []byte(o.NAS), seed: maphash.MakeSeed()}
	if err := r.open(ctx); err != nil {
		return nil, errors.Join(err, r.close())
	}
	var readers sync.WaitGroup
	failed := make(chan error, len(r.lanes)*len(o.Servers))
	for _, n := range r.lanes {
		for server := range n.conns {
			readers.Go(func() {
				if err := n.read(server); err != nil {
					failed <- err
				}
			})
		}
	}
	helpers, stop := r.accompany(ctx)
	r.load(ctx)
	interrupted := ctx.Err() != nil
	r.settle(ctx)
	stop()
	helpers.Wait()
	err := r.close()
	readers.Wait()
	close(failed)
	for e := range failed {
		err = errors.Join(err, fmt.Errorf("a port: %w", e))
	}
	if err != nil {
		return nil, err
	}
	return r.result(interrupted), nil
}

// open makes the lanes and starts the clock.
func (r *run) open(ctx context.Context) error {
	o := &r.options
	for i := range o.Lanes {
		var source netip.Addr
		if len(o.Sources) > 0 {
			source = o.Sources[i%len(o.Sources)]
		}
		var conns []port.Port
		n := newLane(r, make([]port.Port, len(o.Servers)))
		for _, server := range o.Servers {
			conn, err := port.Dial(ctx, source, server)
			if err != nil {
				n.conns = conns
				r.lanes = append(r.lanes, n)
				return err
			}
			conns = append(conns, conn)
		}
		n.conns = conns
		if o.Each {
			n.home = uint8(i % len(o.Servers))
		}
		r.lanes = append(r.lanes, n)
	}
	r.reserve()
	r.began = o.Now()
	r.end.Store(int64(o.Warmup + o.Duration))
	r.lastAccept.Store(int64(o.Warmup))
	return nil
}

func (r *run) close() (err error) {
	for _, n := range r.lanes {
		for _, conn := range n.conns {
			err = errors.Join(err, conn.Close())
		}
	}
	return err
}

// accompany sends again what is due, and tells how it goes, until the function is called.
func (r *run) accompany(ctx context.Context) (*sync.WaitGroup, func()) {
	var helpers sync.WaitGroup
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	every := func(d time.Duration, do func()) {
		helpers.Go(func() {
			tick := time.NewTicker(d)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					do()
				}
			}
		})
	}
	every(sweep, func() {
		now := r.since()
		for _, n := range r.lanes {
			n.again(now)
		}
	})
	if r.options.Progress != nil {
		every(time.Second, func() { r.options.Progress(r.progress()) })
	}
	return &helpers, stop
}

// load begins logins until the time is over.
func (r *run) load(ctx context.Context) {
	if r.options.Rate > 0 {
		r.arrive(ctx)
		return
	}
	for i := range r.options.underWay() {
		r.lanes[i%len(r.lanes)].first()
	}
	tick := time.NewTicker(sweep)
	defer tick.Stop()
	for r.since() < r.end.Load() {
		select {
		case <-ctx.Done():
			r.finish()
			return
		case <-tick.C:
		}
	}
}

// next is the login whose turn it is. It is false when there is none any more.
func (r *run) next(n *lane, intended int64) (login, bool) {
	o := &r.options
	if intended >= r.end.Load() {
		return login{}, false
	}
	if count := r.count.Add(1); o.Count > 0 && count > o.Count {
		r.all.Store(true)
		r.finish()
		return login{}, false
	}
	turn, ok := o.Roster.Next(r.began.Unix() + (int64(r.began.Nanosecond())+r.since())/int64(time.Second))
	if !ok {
		r.usedUp.Store(true)
		r.all.Store(true)
		r.finish()
		return login{}, false
	}
	l := login{turn: turn, intended: intended, home: n.home, measured: intended >= int64(o.Warmup), wrong: n.chance(o.Wrong)}
	if o.Spread {
		l.home = uint8(r.home.Add(1) % uint64(len(o.Servers)))
	}
	return l, true
}

// finish makes now the end.
func (r *run) finish() {
	now := r.since()
	for {
		end := r.end.Load()
		if end <= now || r.end.CompareAndSwap(end, now) {
			return
		}
	}
}

// got notes that somebody got in, while it is measured.
func (r *run) got(now int64) {
	if now < int64(r.options.Warmup) || now >= r.end.Load() {
		return
	}
	r.quiet(now - r.lastAccept.Swap(now))
}

// quiet notes how long nobody got in.
func (r *run) quiet(long int64) {
	for most := r.silence.Load(); long > most && !r.silence.CompareAndSwap(most, long); {
		most = r.silence.Load()
	}
}

// settle waits until everything was answered or given up, and a little longer for what is late.
func (r *run) settle(ctx context.Context) {
	r.drain(ctx)
	if r.options.Replay == ReplayAfterwards {
		r.replayAll(ctx)
		r.drain(ctx)
	}
	pause(ctx, r.options.Linger)
}

// drain waits for what is outstanding, as long as a gateway does.
func (r *run) drain(ctx context.Context) {
	patience := r.options.Timeout * time.Duration(r.options.Tries) * 2 // a challenge takes two
	for until := r.since() + int64(patience+4*sweep); r.since() < until && ctx.Err() == nil && r.outstanding() > 0; {
		pause(ctx, sweep)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// since is the nanoseconds since the run began.
func (r *run) since() int64 { return int64(r.options.Now().Sub(r.began)) }

func since(now, then int64) time.Duration { return time.Duration(now - then) }

func (r *run) outstanding() (count int) {
	for _, n := range r.lanes {
		n.mu.Lock()
		count += n.outstanding()
		n.mu.Unlock()
	}
	return count
}
