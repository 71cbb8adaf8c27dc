package redisstore

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// errSlowShard is the error of a call that others do not wait for.
var errSlowShard = errors.New("this master keeps the others waiting")

const (
	// maxAttempts is how often calls are made in a cluster whose slots are elsewhere, or on their way.
	maxAttempts = 4
	// patienceShare is which part of the timeout the answers of one master wait for those of another.
	patienceShare = 2
	// maxProbes is how many pipelines at a time find out whether a master that did not answer does.
	maxProbes = 4
)

// cluster makes calls at the masters of their slots. The library would too, but has no WAIT for each of them,
// waits for the slowest, and learns that a master was replaced from the replies of others only: of a master
// that is gone there are none.
type cluster struct {
	store  *Store
	client *redis.ClusterClient
	named  redirects
	shards sync.Map // of *shard, by the *redis.Client of the master
}

// shard is what is known of a master.
type shard struct {
	down  atomic.Bool  // did not answer the last time
	asked atomic.Int32 // pipelines under way
}

// part is what one master is asked.
type part struct {
	place
	shard *shard
	probe bool  // it did not answer the last time
	which []int // indexes into the calls
}

// answered is what came of a part.
type answered struct {
	*part
	cmds []*redis.Cmd
	well bool
}

// run makes the calls, and makes those again whose slot was elsewhere: at once where the server has said at which.
func (c *cluster) run(ctx context.Context, calls []call) []*redis.Cmd {
	cmds := make([]*redis.Cmd, len(calls))
	todo := make([]int, len(calls))
	for i := range todo {
		todo[i] = i
	}
	var sent map[int]place // where servers have sent calls that are left
	for attempt := 1; ; attempt++ {
		parts := c.parts(ctx, calls, todo, sent, cmds)
		c.attempt(ctx, calls, parts, cmds)
		todo, sent = todo[:0], nil
		for _, p := range parts {
			for _, i := range p.which {
				err := cmds[i].Err()
				if to, ok := c.named.follow(p.node, err); ok {
					if sent == nil {
						sent = make(map[int]place)
					}
					sent[i], todo = to, append(todo, i)
				} else if elsewhere(err) || (attempt == 1 || p.named) && !p.probe && !calls[i].once && lost(err) {
					todo = append(todo, i)
				}
			}
		}
		if len(todo) == 0 || attempt == maxAttempts {
			return cmds
		}
		c.client.ReloadState(ctx)
		if (attempt > 1 || len(sent) < len(todo)) && !pause(ctx, time.Duration(attempt)*10*time.Millisecond) {
			return cmds
		}
	}
}

// elsewhere reports whether a server has refused a call that another will carry out.
func elsewhere(err error) bool {
	_, moved := redis.IsMovedError(err)
	_, ask := redis.IsAskError(err)
	return moved || ask || redis.IsReadOnlyError(err) || redis.IsTryAgainError(err)
}

// lost reports whether a call or its answer was lost on the way, and not because somebody waited too long.
func lost(err error) bool {
	var timeout net.Error
	return silent(err) && !errors.Is(err, errSlowShard) && !(errors.As(err, &timeout) && timeout.Timeout())
}

// silent reports whether an error is not what a server has answered.
func silent(err error) bool {
	var reply redis.Error
	return err != nil && !errors.As(err, &reply) && !errors.Is(err, errUnreplicated)
}

// attempt asks all masters that are concerned at once.
func (c *cluster) attempt(ctx context.Context, calls []call, parts []*part, cmds []*redis.Cmd) {
	if len(parts) == 1 {
		p := parts[0]
		for n, cmd := range c.ask(ctx, p, pick(calls, p.which)) {
			cmds[p.which[n]] = cmd
		}
		return
	}
	answers := make(chan answered, len(parts))
	asked, well := 0, 0 // parts that are asked, and those of them that are waited for
	for _, p := range parts {
		switch {
		case !p.probe:
			well++
		case p.shard.asked.Load() >= maxProbes:
			fail(ctx, p.which, cmds, errSlowShard)
			continue
		}
		own := pick(calls, p.which)
		asked++
		c.store.active.Add(1) // also when nobody waits for it any more
		go func() {
			defer c.store.active.Done()
			cmds := c.ask(ctx, p, own)
			answers <- answered{p, cmds, !p.shard.down.Load()}
		}()
	}
	if asked > 0 {
		c.gather(ctx, answers, well, cmds)
	}
	for _, p := range parts {
		if cmds[p.which[0]] == nil && !p.probe {
			c.doubt(ctx, p.shard)
		}
		fail(ctx, p.which, cmds, errSlowShard)
	}
}

// gather takes the answers that come in time: all while none has come, and a little longer after that. A
// master that did not answer the last time is not waited for, unless there is no other.
func (c *cluster) gather(ctx context.Context, answers <-chan answered, well int, cmds []*redis.Cmd) {
	var late <-chan time.Time
	for alone := well == 0; well > 0 || alone; {
		select {
		case a := <-answers:
			for n, cmd := range a.cmds {
				cmds[a.which[n]] = cmd
			}
			alone = false
			if a.probe {
				continue
			}
			well--
			if late == nil && a.well {
				t := time.NewTimer(c.store.timeout / patienceShare)
				defer t.Stop()
				late = t.C
			}
		case <-late:
			return
		case <-ctx.Done():
			return
		}
	}
}

// fail gives those that have no answer an error.
func fail(ctx context.Context, which []int, cmds []*redis.Cmd, err error) {
	for _, i := range which {
		if cmds[i] == nil {
			cmds[i] = redis.NewCmd(ctx)
			cmds[i].SetErr(err)
		}
	}
}

// parts finds the masters, unless servers have sent a call somewhere. Calls that have none get an error.
func (c *cluster) parts(ctx context.Context, calls []call, todo []int, sent map[int]place, cmds []*redis.Cmd) []*part {
	var parts []*part
	of := make(map[place]*part, 8)
	for _, i := range todo {
		cmds[i] = nil
		at, ok := sent[i]
		if !ok {
			node, err := c.client.MasterForKey(ctx, calls[i].key)
			if err != nil {
				fail(ctx, []int{i}, cmds, err)
				continue
			}
			at.node = node
		}
		p := of[at]
		if p == nil {
			known, _ := c.shards.LoadOrStore(at.node, new(shard))
			p = &part{place: at, shard: known.(*shard)}
			p.probe = p.shard.down.Load()
			of[at] = p
			parts = append(parts, p)
		}
		p.which = append(p.which, i)
	}
	return parts
}

// ask makes the calls at one master, and notes whether it answers.
func (c *cluster) ask(ctx context.Context, p *part, calls []call) []*redis.Cmd {
	p.shard.asked.Add(1)
	defer p.shard.asked.Add(-1)
	cmds := c.store.send(ctx, p.place, calls)
	answers := true
	for _, cmd := range cmds {
		err := cmd.Err()
		answers = answers && !silent(err) && !redis.IsClusterDownError(err)
	}
	if answers {
		p.shard.down.Store(false)
	} else {
		c.doubt(ctx, p.shard)
	}
	return cmds
}

// doubt notes that a master does not answer, and has the library ask the others who is in its place.
func (c *cluster) doubt(ctx context.Context, s *shard) {
	s.down.Store(true)
	c.client.ReloadState(ctx)
}

// place is where a call is made.
type place struct {
	node   *redis.Client
	asking bool // the slot is on its way to the node, which takes such a call after ASKING only
	named  bool // a server has sent the call there
}

// redirects are the masters that servers have named for slots which have moved (MOVED), or are moving (ASK). The library
// looks for the masters once in 200 ms at most, which is too late while one slot after the other moves, and finds none
// that has no slot yet: what servers say about one call leads it there at once. There is a client for each address that
// was named, until the store is closed, with as many connections as were needed at once.
type redirects struct {
	options *redis.Options // of all but the address

	mu      sync.Mutex
	clients map[string]*redis.Client // by address
}

// follow is where a server has sent a call, if that is its answer and tells where: one that names no host, or its own
// machine by an address that is this one for us, does not. The library knows better then, a little later.
func (r *redirects) follow(from *redis.Client, err error) (place, bool) {
	address, moved := redis.IsMovedError(err)
	ask := false
	if !moved {
		address, ask = redis.IsAskError(err)
	}
	host, _, bad := net.SplitHostPort(address)
	if bad != nil || host == "" || loopback(address) && !loopback(from.Options().Addr) {
		return place{}, false
	}
	return place{node: r.client(address), asking: ask, named: true}, true
}

// loopback reports whether an address is on this machine by what it says.
func loopback(address string) bool {
	a, err := netip.ParseAddrPort(address)
	return err == nil && a.Addr().IsLoopback()
}

func (r *redirects) client(address string) *redis.Client {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.clients[address]
	if c == nil {
		o := *r.options
		o.Addr = address
		c = redis.NewClient(&o)
		if r.clients == nil {
			r.clients = make(map[string]*redis.Client)
		}
		r.clients[address] = c
	}
	return c
}

// close closes all connections.
func (r *redirects) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var err error
	for _, c := range r.clients {
		err = errors.Join(err, c.Close())
	}
	return err
}
