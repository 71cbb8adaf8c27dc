package redisstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// errNoMaster is what a connection is refused for while nobody knows a master.
var errNoMaster = errors.New("no sentinel tells a master")

// errReplica is a server that was said to be the master, and says that it is none.
var errReplica = errors.New("the server is a replica")

// errReplaced is a master that another one has taken the place of.
var errReplaced = errors.New("the master was replaced")

const (
	// stragglers is how long the answers of other sentinels are waited for when one has answered.
	stragglers = 50 * time.Millisecond
	// askEvery is how often calls that fail have the sentinels asked, at most.
	askEvery = 50 * time.Millisecond
	// doubtful is how many looks in a row find the sentinels at variance before that is a concern: some of them are
	// the last to hear of every failover.
	doubtful = 5
	// sentinelAsks is how often a sentinel asks a server that it does not take for gone sooner; milliseconds.
	sentinelAsks = 1000
)

// sentinels tell which server is the master. The library's way asks one of them, and waits for it when its
// machine has gone with the master's: here all are asked at once, and all are listened to.
type sentinels struct {
	name    string
	dialer  *dialer
	clients []*redis.Client
	heard   []*redis.PubSub
	logger  *slog.Logger
	timeout time.Duration
	ended   sync.WaitGroup
	resting atomic.Bool // calls that failed have had them asked a moment ago

	mu       sync.Mutex
	master   string      // "": not known yet
	left     string      // the master before, by the same epoch: one sentinel is the first to know of the other
	epoch    uint64      // of the configuration that told the master
	changes  uint64      // how often master and epoch became others
	lowered  uint64      // of these, that which made the epoch a lower one
	unheeded string      // a master that was told last, by an older configuration that is not followed; "": none
	doubts   int         // looks in a row that have found one
	soon     map[int]int // after so many milliseconds each of them takes a server for gone, as it said last
}

// answer is what a sentinel says.
type answer struct {
	by      int // the index of its client
	address string
	epoch   uint64 // of the configuration: the higher is the newer
	soon    int    // milliseconds after which it takes a server for gone; 0: it does not say
	err     error
}

func newSentinels(o *Options, d *dialer, logger *slog.Logger, timeout time.Duration) *sentinels {
	s := &sentinels{soon: make(map[int]int), name: o.MasterName, dialer: d, logger: logger, timeout: timeout}
	for _, address := range o.Addresses {
		own := &dialer{tls: o.TLS, timeout: timeout, links: make(map[*link]string)}
		client := redis.NewClient(&redis.Options{
			Addr: address, Dialer: own.dial, Protocol: 2, ContextTimeoutEnabled: true, DisableIdentity: true,
			ReadTimeout: timeout, WriteTimeout: timeout, PoolTimeout: timeout, MaxRetries: -1, DialerRetries: 1,
			PoolSize: 8, PipelinePoolSize: -1, MaintNotificationsConfig: noMaintenance(),
		})
		s.clients = append(s.clients, client)
		s.listen(client)
	}
	return s
}

// listen has the sentinels asked anew when one of them says that the master is another.
func (s *sentinels) listen(client *redis.Client) {
	heard := client.Subscribe(context.Background(), "+promoted-slave", "+switch-master", "+failover-end", "+monitor")
	s.heard = append(s.heard, heard)
	s.ended.Go(func() {
		for range heard.Channel() {
			ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
			_, _ = s.ask(ctx)
			cancel()
		}
	})
}

func (s *sentinels) close() (err error) {
	for i, client := range s.clients {
		err = errors.Join(err, s.heard[i].Close(), client.Close())
	}
	s.ended.Wait()
	return err
}

// dial connects to the master.
func (s *sentinels) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	address, err := s.ask(ctx)
	if err != nil {
		return deadEnd{err}, nil
	}
	return s.connect(ctx, network, address)
}

// connect connects to what was said to be the master. It may have been replaced meanwhile: its connections
// were closed then, but for one that was not there yet.
func (s *sentinels) connect(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := s.dialer.dial(ctx, network, address)
	if err == nil && s.current() != address {
		_ = conn.Close()
		return deadEnd{errReplaced}, nil
	}
	return conn, err
}

// changesSoFar is how often the master has changed, for whoever is about to ask.
func (s *sentinels) changesSoFar() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changes
}

// current is the master that was told last.
func (s *sentinels) current() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.master
}

// changed asks again after calls have failed, and reports whether the master is another than before.
func (s *sentinels) changed(ctx context.Context, before string) bool {
	if s.current() == before && s.resting.CompareAndSwap(false, true) {
		_, _ = s.ask(ctx)
		time.AfterFunc(askEvery, func() { s.resting.Store(false) })
	}
	return s.current() != before
}

// ask returns the master's address, and leaves every other server.
func (s *sentinels) ask(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	asked := s.changesSoFar()
	answers := make(chan answer, len(s.clients))
	for i, client := range s.clients {
		go func() {
			a := s.askOne(ctx, client)
			a.by = i
			answers <- a
		}()
	}
	var told []answer
	var errs []error
	var late <-chan time.Time
gathering:
	for len(told)+len(errs) < len(s.clients) {
		select {
		case a := <-answers:
			if a.err != nil {
				errs = append(errs, a.err)
				continue
			}
			told = append(told, a)
			if late == nil && (s.current() != "" || 2*len(told) > len(s.clients)) { // the first that answers may know the least
				t := time.NewTimer(stragglers)
				defer t.Stop()
				late = t.C
			}
		case <-late:
			if !s.behind(told) {
				break gathering
			}
			late = nil // one that knows more has all the time there is
		}
	}
	if len(told) == 0 {
		return "", fmt.Errorf("%w: %w", errNoMaster, errors.Join(errs...))
	}
	return s.choose(told, asked), nil
}

// askOne asks one sentinel.
func (s *sentinels) askOne(ctx context.Context, client *redis.Client) answer {
	pipe := client.Pipeline()
	address := pipe.Do(ctx, "sentinel", "get-master-addr-by-name", s.name) // during a failover already the new one
	master := redis.NewMapStringStringCmd(ctx, "sentinel", "master", s.name)
	_ = pipe.Process(ctx, master)
	if _, err := pipe.Exec(ctx); err != nil {
		return answer{err: fmt.Errorf("sentinel %s: %w", client.Options().Addr, err)}
	}
	parts, err := address.StringSlice()
	if err != nil || len(parts) != 2 {
		return answer{err: fmt.Errorf("sentinel %s: unexpected answer %v", client.Options().Addr, parts)}
	}
	epoch, _ := strconv.ParseUint(master.Val()["config-epoch"], 10, 64)
	soon, _ := strconv.Atoi(master.Val()["down-after-milliseconds"])
	return answer{address: net.JoinHostPort(parts[0], parts[1]), epoch: epoch, soon: soon}
}

// concerns are what an operator has to hear about the sentinels. They are asked anew only while there is something:
// else what they said for the last connection holds.
func (s *sentinels) concerns(ctx context.Context) (list []concern) {
	if s.hasty() > 0 || s.notFollowed() != "" {
		_, _ = s.ask(ctx)
	}
	if after := s.hasty(); after > 0 {
		list = append(list, hastySentinel(after))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.doubts++; s.unheeded == "" {
		s.doubts = 0
	}
	if s.doubts >= doubtful {
		list = append(list, atVariance(s.unheeded, s.master))
	}
	return list
}

// notFollowed is the master that sentinels tell by an older configuration; "" when none does.
func (s *sentinels) notFollowed() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unheeded
}

// hasty is after how many milliseconds a sentinel takes a server for gone, if that is too soon; 0: none does.
func (s *sentinels) hasty() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	least := 0
	for _, after := range s.soon {
		if after <= sentinelAsks && (least == 0 || after < least) {
			least = after
		}
	}
	return least
}
