package gateway

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"otpgate/cmd/radload/packet"
	"otpgate/cmd/radload/roster"
)

func people(t testing.TB, count int, o roster.Options) *roster.Roster {
	t.Helper()
	r, err := roster.Derive(roster.Family{Master: []byte("master"), Count: count}, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// soon is a timeout for those who are to send again; others wait until a busy machine has got to it.
const soon = 100 * time.Millisecond

// options are for a run of so many logins at a server, four at a time.
func options(r *roster.Roster, logins int64, servers ...*server) Options {
	o := Options{
		Secret: []byte(secret), Roster: r, Outstanding: 4, Duration: 20 * time.Second, Count: logins,
		Timeout: 5 * time.Second, Tries: 3, Linger: 50 * time.Millisecond, NAS: "nas", Now: time.Now,
	}
	for _, s := range servers {
		o.Servers = append(o.Servers, s.addr())
	}
	return o
}

func load(t *testing.T, o Options) *Result {
	t.Helper()
	result, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// figures are what a case looks at.
type figures struct {
	accepted, refused, wronglyAccepted, wronglyRefused, lost uint64
	resent, late, same, different, opposite, unasked, faulty uint64
}

func figuresOf(t *Tally) figures {
	return figures{
		accepted: t.Accepted, refused: t.Refused, wronglyAccepted: t.WronglyAccepted, wronglyRefused: t.WronglyRefused,
		lost: t.Lost, resent: t.Resent, late: t.Late, same: t.Same, different: t.Different, opposite: t.Opposite,
		unasked: t.Unasked, faulty: t.WronglySigned(),
	}
}

// TestWhatServersDo has a server do one thing each, and looks at what was counted.
func TestWhatServersDo(t *testing.T) {
	class := []byte{25, 3, 'x'}
	for _, c := range []struct {
		name   string
		behave func(x *exchange)
		change func(o *Options)
		want   figures
	}{
		{name: "right", want: figures{accepted: 20}},
		{name: "wrong codes", change: func(o *Options) { o.Wrong = 1 }, want: figures{refused: 20}},
		{
			name: "accepts everything", change: func(o *Options) { o.Wrong = 1 },
			behave: func(x *exchange) { x.send(x.answer(packet.AccessAccept, secret, blank())) },
			want:   figures{wronglyAccepted: 20},
		},
		{
			name:   "refuses everything",
			behave: func(x *exchange) { x.send(x.answer(packet.AccessReject, secret, blank())) },
			want:   figures{wronglyRefused: 20},
		},
		{
			name:   "challenges where nobody asked for it",
			behave: func(x *exchange) { x.state = "s"; x.send(x.answer(packet.AccessChallenge, secret, blank())) },
			want:   figures{wronglyRefused: 20},
		},
		{name: "silent", behave: func(*exchange) {}, want: figures{lost: 20, resent: 40}},
		{
			name: "answers the second copy",
			behave: func(x *exchange) {
				if x.copies == 1 {
					x.send(x.right())
				}
			},
			want: figures{accepted: 20, resent: 20},
		},
		{
			name:   "answers twice",
			behave: func(x *exchange) { x.send(x.right()); x.send(x.right()) },
			want:   figures{accepted: 20, same: 20, unasked: 20},
		},
		{
			name:   "answers twice with other octets",
			behave: func(x *exchange) { x.send(x.right()); x.send(x.answer(x.decision, secret, blank(), class)) },
			want:   figures{accepted: 20, different: 20, unasked: 20},
		},
		{
			name: "changes its mind",
			behave: func(x *exchange) {
				x.send(x.right())
				x.send(x.answer(packet.AccessReject, secret, blank()))
			},
			want: figures{accepted: 20, opposite: 20, unasked: 20},
		},
		{
			name: "another secret, then the right one",
			behave: func(x *exchange) {
				x.send(x.answer(packet.AccessReject, "another-secret", blank()))
				x.send(x.right())
			},
			want: figures{accepted: 20, faulty: 20},
		},
		{
			name: "unsigned", change: func(o *Options) { o.Tries = 1 },
			behave: func(x *exchange) { x.send(x.answer(x.decision, secret)) },
			want:   figures{lost: 20, faulty: 20},
		},
		{
			name: "unsigned, and that is asked for", change: func(o *Options) { o.Signature = packet.SignedMaybe },
			behave: func(x *exchange) { x.send(x.answer(x.decision, secret)) },
			want:   figures{accepted: 20},
		},
		{
			name: "signed behind another attribute", change: func(o *Options) { o.Tries = 1 },
			behave: func(x *exchange) { x.send(x.answer(x.decision, secret, class, blank())) },
			want:   figures{lost: 20, faulty: 20},
		},
		{
			name: "too late", change: func(o *Options) { o.Tries, o.Timeout, o.Linger = 1, 20*time.Millisecond, time.Second },
			behave: func(x *exchange) { time.AfterFunc(300*time.Millisecond, func() { x.send(x.right()) }) },
			want:   figures{lost: 20, late: 20},
		},
		{
			name: "lets wrong codes in too late", change: func(o *Options) {
				o.Wrong, o.Tries, o.Timeout, o.Linger = 1, 1, 20*time.Millisecond, time.Second
			},
			behave: func(x *exchange) {
				time.AfterFunc(300*time.Millisecond, func() { x.send(x.answer(packet.AccessAccept, secret, blank())) })
			},
			want: figures{wronglyAccepted: 20, late: 20},
		},
		{
			name: "refuses everything too late", change: func(o *Options) { o.Tries, o.Timeout, o.Linger = 1, 20*time.Millisecond, time.Second },
			behave: func(x *exchange) {
				time.AfterFunc(300*time.Millisecond, func() { x.send(x.answer(packet.AccessReject, secret, blank())) })
			},
			want: figures{wronglyRefused: 20, late: 20},
		},
		{
			name: "changes its mind too late", change: func(o *Options) { o.Tries, o.Timeout, o.Linger = 1, 20*time.Millisecond, time.Second },
			behave: func(x *exchange) {
				time.AfterFunc(300*time.Millisecond, func() {
					x.send(x.right())
					x.send(x.answer(packet.AccessReject, secret, blank()))
				})
			},
			want: figures{lost: 20, late: 20, opposite: 20, unasked: 20},
		},
		{
			name: "octets of no packet", behave: func(x *exchange) { x.send([]byte("no packet")); x.send(x.right()) },
			want: figures{accepted: 20, faulty: 20},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := people(t, 20, roster.Options{})
			o := options(r, 20, serve(t, r, c.behave))
			if c.want.lost+c.want.resent > 0 {
				o.Timeout = soon
			}
			if c.change != nil {
				c.change(&o)
			}
			result := load(t, o)
			if got := figuresOf(&result.Measured); got != c.want {
				t.Errorf("\n got %+v\nwant %+v\n%+v", got, c.want, result.Measured)
			}
			if result.Measured.Over() != 20 || result.Unfinished != 0 {
				t.Errorf("%d logins are over, %d not", result.Measured.Over(), result.Unfinished)
			}
		})
	}
}

// TestRefusedAsUsed does not blame a server for codes that it cannot tell from used ones.
func TestRefusedAsUsed(t *testing.T) {
	r, err := roster.Derive(roster.Family{Master: []byte("radload bench"), Count: 1768, Period: 15 * time.Second}, roster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Skip(1766); err != nil { // the last one of both has the code of the step before once more
		t.Fatal(err)
	}
	o := options(r, 2, serve(t, r, func(x *exchange) { x.send(x.answer(packet.AccessReject, secret, blank())) }))
	began, then := time.Now(), time.Date(2026, 11, 26, 5, 8, 30, 0, time.UTC)
	o.Now = func() time.Time { return then.Add(time.Since(began)) }
	result := load(t, o)
	m := result.Measured
	if m.Refused != 1 || m.Repeated != 1 || m.WronglyRefused != 1 || m.Over() != 2 {
		t.Errorf("%+v", m)
	}
	if all := result.Mistakes; len(all) != 1 || all[0].Kind != RightRefused || all[0].Account != "person0001766" || all[0].Step != then.Unix()/15 ||
		all[0].Repeats || all[0].Asked.Before(then) || all[0].Asked.After(then.Add(time.Since(began))) {
		t.Errorf("%+v", all)
	}
}

// TestMistakes are told with their server, and whether the code is that of another step too.
func TestMistakes(t *testing.T) {
	r, err := roster.Derive(roster.Family{Master: []byte("radload bench"), Count: 1768, Period: 15 * time.Second}, roster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Skip(1766); err != nil { // as in TestRefusedAsUsed
		t.Fatal(err)
	}
	gullible := func(x *exchange) { x.send(x.answer(packet.AccessAccept, secret, blank())) }
	o := options(r, 2, serve(t, r, gullible), serve(t, r, gullible))
	o.Replay = ReplayAtOnce
	began, then := time.Now(), time.Date(2026, 11, 26, 5, 8, 30, 0, time.UTC)
	o.Now = func() time.Time { return then.Add(time.Since(began)) }
	repeats := map[string]bool{}
	for _, m := range load(t, o).Mistakes {
		if repeats[m.Account] = m.Repeats; m.Kind != ReplayAccepted || m.Server != 1 {
			t.Errorf("%+v", m)
		}
	}
	if want := map[string]bool{"person0001766": false, "person0001767": true}; !maps.Equal(repeats, want) {
		t.Errorf("%v, want %v", repeats, want)
	}
}

// TestManyMistakes leaves room for those of another kind that come later.
func TestManyMistakes(t *testing.T) {
	r := people(t, 400, roster.Options{})
	o := options(r, 400, serve(t, r, func(x *exchange) {
		opposite := byte(packet.AccessAccept)
		if x.decision == packet.AccessAccept {
			opposite = packet.AccessReject
		}
		x.send(x.answer(opposite, secret, blank()))
	}))
	o.Wrong = 0.5
	number := map[Kind]int{}
	for _, m := range load(t, o).Mistakes {
		number[m.Kind]++
	}
	if want := map[Kind]int{WrongAccepted: maxMistakes, RightRefused: maxMistakes}; !maps.Equal(number, want) {
		t.Errorf("%v, want %v", number, want)
	}
}

// TestChallenge answers challenges, and knows what else may come.
func TestChallenge(t *testing.T) {
	for _, c := range []struct {
		name     string
		behave   func(x *exchange)
		wrong    float64
		password string
		want     figures
	}{
		{name: "right", want: figures{accepted: 20}},
		{name: "wrong codes", wrong: 1, want: figures{refused: 20}},
		{name: "wrong passwords", password: "wrong", want: figures{wronglyRefused: 20}},
		{
			name:   "lets in by password",
			behave: func(x *exchange) { x.send(x.answer(packet.AccessAccept, secret, blank())) },
			want:   figures{wronglyAccepted: 20},
		},
		{
			name: "asks again and again", wrong: 1,
			behave: func(x *exchange) { x.state = "a state"; x.send(x.answer(packet.AccessChallenge, secret, blank())) },
			want:   figures{refused: 20},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.password == "" {
				c.password = "pw-{name}"
			}
			s := serve(t, people(t, 20, roster.Options{Password: "pw-{name}"}), c.behave, func(s *server) { s.challenge = true })
			o := options(people(t, 20, roster.Options{Password: c.password}), 20, s)
			o.Method, o.Wrong = PasswordThenCode, c.wrong
			result := load(t, o)
			if got := figuresOf(&result.Measured); got != c.want {
				t.Errorf("\n got %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// TestPasswordAndCode sends one behind the other.
func TestPasswordAndCode(t *testing.T) {
	r := people(t, 20, roster.Options{Password: "pw-{name}"})
	o := options(r, 20, serve(t, r, nil))
	o.Method = PasswordAndCode
	if result := load(t, o); result.Measured.Accepted != 20 {
		t.Errorf("%+v", result.Measured)
	}
}

// TestRetransmission holds that copies are the same octets from the same port.
func TestRetransmission(t *testing.T) {
	r := people(t, 5, roster.Options{})
	s := serve(t, r, func(*exchange) {})
	o := options(r, 5, s)
	o.Timeout = soon
	load(t, o)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) != 5 {
		t.Errorf("%d requests, want 5", len(s.seen))
	}
	for _, copies := range s.seen {
		if len(copies) != 3 {
			t.Errorf("%d copies, want 3", len(copies))
		}
	}
}

// TestReplays sends accepted codes again, to a server that knows them and to one that does not.
func TestReplays(t *testing.T) {
	for _, c := range []struct {
		name              string
		replay            Replay
		forgetful         bool
		refused, accepted uint64
	}{
		{"at once", ReplayAtOnce, false, 20, 0},
		{"at once, forgotten", ReplayAtOnce, true, 0, 20},
		{"afterwards", ReplayAfterwards, false, 20, 0},
		{"afterwards, forgotten", ReplayAfterwards, true, 0, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := people(t, 20, roster.Options{})
			o := options(r, 20, serve(t, r, nil, forgetting(c.forgetful)))
			o.Replay = c.replay
			result := load(t, o)
			m := result.Measured
			if m.Accepted != 20 || m.Replayed != 20 || m.ReplayRefused != c.refused || m.ReplayAccepted != c.accepted || m.ReplayLeftOut != 0 {
				t.Errorf("%+v", m)
			}
			if len(result.Mistakes) != min(int(c.accepted), maxMistakes) {
				t.Errorf("%d mistakes: %+v", len(result.Mistakes), result.Mistakes)
			}
			for i, x := range result.Mistakes {
				if x.Kind != ReplayAccepted || x.Account == "" || !x.Answered.After(x.Asked) || i > 0 && x.Answered.Before(result.Mistakes[i-1].Answered) {
					t.Errorf("%+v", x)
				}
			}
		})
	}
}

// TestReuse lets devices log in more than once.
func TestReuse(t *testing.T) {
	for _, accepted := range []bool{false, true} {
		r := people(t, 10, roster.Options{Reuse: true})
		o := options(r, 30, serve(t, r, nil, forgetting(accepted)))
		o.ReuseAccepted = accepted
		m := load(t, o).Measured
		if accepted && m.Accepted != 30 || !accepted && m.Accepted+m.Refused != 30 || m.WronglyAccepted+m.WronglyRefused != 0 {
			t.Errorf("accepted again: %v: %+v", accepted, m)
		}
	}
}

// TestUsedUp ends when nobody is left who has not logged in.
func TestUsedUp(t *testing.T) {
	now := time.Now()
	r := people(t, 10, roster.Options{})
	o := options(r, 0, serve(t, r, nil))
	o.Now = func() time.Time { return now.Truncate(time.Minute).Add(time.Since(now)) } // no step ends meanwhile
	if result := load(t, o); !result.UsedUp || result.Measured.Over() != 10 || result.Elapsed > 10*time.Second {
		t.Errorf("%+v, %s", result.Measured, result.Elapsed)
	}
}

// TestNextServer has the first server away: what is sent again goes to the next.
func TestNextServer(t *testing.T) {
	gone, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	r := people(t, 20, roster.Options{})
	o := options(r, 20, serve(t, r, nil))
	o.Servers = []netip.AddrPort{gone.LocalAddr().(*net.UDPAddr).AddrPort(), o.Servers[0]}
	o.Timeout = 5 * soon
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	result := load(t, o)
	if m := result.Measured; m.Accepted != 20 || m.Resent != 20 || m.Unreached == 0 {
		t.Errorf("%+v", m)
	}
}

// TestIPv6 goes by the other family.
func TestIPv6(t *testing.T) {
	r := people(t, 20, roster.Options{})
	o := options(r, 20, serveAt(t, net.IPv6loopback, r, nil))
	o.Sources = []netip.Addr{netip.IPv6Loopback()}
	if m := load(t, o).Measured; m.Accepted != 20 {
		t.Errorf("%+v", m)
	}
}

// TestSpread begins at both servers.
func TestSpread(t *testing.T) {
	r := people(t, 20, roster.Options{})
	one, other := serve(t, r, nil), serve(t, r, nil)
	o := options(r, 20, one, other)
	o.Spread = true
	if m := load(t, o).Measured; m.Accepted != 20 {
		t.Errorf("%+v", m)
	}
	for _, s := range []*server{one, other} {
		s.mu.Lock()
		if len(s.all) != 10 {
			t.Errorf("%d requests, want 10", len(s.all))
		}
		s.mu.Unlock()
	}
}

// TestEach has as many outstanding at each server, also at one that takes longer: what is over at the quick one is followed
// there.
func TestEach(t *testing.T) {
	const quickly, slowly = 20, 2
	r := people(t, quickly+slowly, roster.Options{})
	begun, over := make(chan struct{}), make(chan struct{}) // all at the slow one; all at the quick one
	served := 0
	quick := serve(t, r, func(x *exchange) {
		await(t, begun)
		if served++; served == quickly {
			close(over)
		}
		x.send(x.right())
	})
	var late []*exchange
	slow := serve(t, r, func(x *exchange) {
		if late = append(late, x); len(late) == slowly {
			close(begun)
			await(t, over)
			for _, x := range late {
				x.send(x.right())
			}
		}
	})
	o := options(r, quickly+slowly, quick, slow)
	o.Each, o.Outstanding = true, slowly
	if m := load(t, o).Measured; m.Accepted != quickly+slowly || m.Resent != 0 {
		t.Errorf("%+v", m)
	}
	for s, want := range map[*server]int{quick: quickly, slow: slowly} {
		s.mu.Lock()
		if len(s.all) != want {
			t.Errorf("%d requests, want %d", len(s.all), want)
		}
		s.mu.Unlock()
	}
}

// await waits for what another server does.
func await(t *testing.T, done <-chan struct{}) {
	select {
	case <-done:
	case <-t.Context().Done():
	}
}

// TestNoIdentifier has replays take the Identifiers that logins need, which follow when they are free.
func TestNoIdentifier(t *testing.T) {
	const logins = 3 * identifiers
	r := people(t, logins, roster.Options{})
	o := options(r, logins, serve(t, r, nil))
	o.Outstanding, o.Lanes, o.Replay = identifiers, 1, ReplayAtOnce
	if m := load(t, o).Measured; m.Waited == 0 || m.Accepted != logins || m.ReplayRefused+m.ReplayLeftOut != logins || m.ReplayRefused == 0 {
		t.Errorf("%+v", m)
	}
}

// TestLateForAnEarlierRequest answers a request when its Identifier has been given to others. One that is older than
// what is remembered is nobody's.
func TestLateForAnEarlierRequest(t *testing.T) {
	right := func(x *exchange) []byte { return x.right() }
	opposite := func(x *exchange) []byte { return x.answer(packet.AccessReject, secret, blank()) }
	lost := figures{lost: 1, late: 1, resent: 2}
	for _, c := range []struct {
		name   string
		after  int
		timely bool // the first answer comes in time, and this is one more
		answer func(x *exchange) []byte
		want   figures // beside the others, which are accepted
	}{
		{name: "the next", after: 1, answer: right, want: lost},
		{name: "the one after", after: 2, answer: right, want: lost},
		{name: "the last that is remembered", after: rememberedRequests, answer: right, want: lost},
		{name: "older", after: rememberedRequests + 1, answer: right, want: figures{lost: 1, faulty: 1, resent: 2}},
		{name: "a wrong one", after: 1, answer: opposite, want: figures{wronglyRefused: 1, late: 1, resent: 2}},
		{name: "once more", after: 1, timely: true, answer: right, want: figures{accepted: 1, same: 1, unasked: 1}},
		{name: "once more, and the opposite", after: 2, timely: true, answer: opposite, want: figures{accepted: 1, opposite: 1, unasked: 1}},
		{name: "once more, and older", after: rememberedRequests + 1, timely: true, answer: right, want: figures{accepted: 1, faulty: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			logins := 300 + 256*(c.after-1)
			r := people(t, logins, roster.Options{})
			var first *exchange
			others := 0
			s := serve(t, r, func(x *exchange) {
				switch {
				case first == nil || bytes.Equal(first.request, x.request):
					if first = x; c.timely {
						x.send(x.right())
					}
				case x.request[1] == first.request[1]:
					if others++; others == c.after {
						x.send(c.answer(first))
					}
					x.send(x.right())
				default:
					x.send(x.right())
				}
			})
			o := options(r, int64(logins), s)
			o.Outstanding, o.Lanes = 1, 1
			if !c.timely {
				o.Timeout = 5 * soon
			}
			c.want.accepted += uint64(logins - 1)
			if got := figuresOf(&load(t, o).Measured); got != c.want {
				t.Errorf("\n got %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// TestReplayGoesElsewhere has the first server let nobody in, so that the second one does: it is the first that must not
// accept the code now.
func TestReplayGoesElsewhere(t *testing.T) {
	r := people(t, 20, roster.Options{})
	one := serve(t, r, func(x *exchange) {
		if x.s.replayed(x) {
			x.send(x.answer(packet.AccessReject, secret, blank()))
		}
	})
	other := serve(t, r, nil)
	o := options(r, 20, one, other)
	o.Replay, o.Timeout = ReplayAtOnce, 5*soon
	if m := load(t, o).Measured; m.Accepted != 20 || m.ReplayRefused != 20 {
		t.Errorf("%+v", m)
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	replayed := 0
	for _, copies := range one.seen {
		if one.replayed(copies[0]) {
			replayed++
		}
	}
	if replayed != 20 {
		t.Errorf("%d codes came once more, want 20", replayed)
	}
}

// TestReplaysHaveAVerdict also when the gateway has given up.
func TestReplaysHaveAVerdict(t *testing.T) {
	for answer, want := range map[byte]Tally{packet.AccessReject: {ReplayRefused: 20}, packet.AccessAccept: {ReplayAccepted: 20}} {
		t.Run(fmt.Sprint(answer), func(t *testing.T) {
			t.Parallel()
			r := people(t, 20, roster.Options{})
			o := options(r, 20, serve(t, r, func(x *exchange) {
				if x.s.replayed(x) {
					time.AfterFunc(30*soon, func() { x.send(x.answer(answer, secret, blank())) })
					return
				}
				x.send(x.right())
			}))
			o.Replay, o.Tries, o.Timeout, o.Linger = ReplayAtOnce, 1, 20*soon, 40*soon
			result := load(t, o)
			m := result.Measured
			if m.Accepted != 20 || m.ReplayRefused != want.ReplayRefused || m.ReplayAccepted != want.ReplayAccepted || m.ReplayLost != 0 || m.Late != 20 {
				t.Errorf("%+v", m)
			}
			if len(result.Mistakes) != min(int(want.ReplayAccepted), maxMistakes) {
				t.Errorf("%+v", result.Mistakes)
			}
		})
	}
}

// TestAsManyAtARate ends when so many have begun, and misses nobody.
func TestAsManyAtARate(t *testing.T) {
	r := people(t, 100, roster.Options{})
	o := options(r, 50, serve(t, r, nil))
	o.Outstanding, o.Rate = 0, 500
	began := time.Now()
	if m := load(t, o).Measured; m.Accepted != 50 || m.Omitted != 0 || time.Since(began) > o.Duration/2 {
		t.Errorf("%+v after %s", m, time.Since(began))
	}
}

// TestOpenLoop keeps its rate, and counts what a server that stands still makes people wait.
func TestOpenLoop(t *testing.T) {
	const rate, seconds, still = 500, 2, 400 * time.Millisecond
	r := people(t, 3000, roster.Options{})
	var once sync.Once
	began := time.Now()
	s := serve(t, r, func(x *exchange) {
		if time.Since(began) > time.Second {
			once.Do(func() { <-time.After(still) })
		}
		x.send(x.right())
	})
	o := options(r, 0, s)
	o.Outstanding, o.Rate, o.Duration, o.Timeout, o.Poisson = 0, rate, seconds*time.Second, 20*time.Second, true
	result := load(t, o)
	m := result.Measured
	if m.Begun < rate*seconds*8/10 || m.Begun > rate*seconds*12/10 || m.Accepted != m.Begun {
		t.Errorf("%+v", m)
	}
	// A fifth of all logins began while it stood still, and their mean wait is half of that.
	if p90 := result.Times.Accepted.Quantile(0.9); p90 < still/4 {
		t.Errorf("p90 %s: the standstill is not seen", p90)
	}
	if result.Silence < still*9/10 || result.Silence > still+time.Second {
		t.Errorf("nobody got in for %s at most", result.Silence)
	}
	if result.Rate() < rate/4 {
		t.Errorf("%.0f logins/s", result.Rate())
	}
}

// TestWaiting has an open loop run out of Identifiers: logins begin later, and their time counts.
func TestWaiting(t *testing.T) {
	r := people(t, 2000, roster.Options{})
	s := serve(t, r, func(x *exchange) { time.AfterFunc(500*time.Millisecond, func() { x.send(x.right()) }) })
	o := options(r, 0, s)
	o.Outstanding, o.Rate, o.Lanes, o.Duration, o.Timeout = 0, 1000, 1, time.Second, 5*time.Second
	result := load(t, o)
	if m := result.Measured; m.Waited == 0 || m.Omitted == 0 || m.Begun+m.Omitted != 1000 || m.Accepted != m.Begun {
		t.Errorf("%+v", m)
	}
	if result.Times.Accepted.Max() < 600*time.Millisecond {
		t.Errorf("the longest took %s", result.Times.Accepted.Max())
	}
}

// TestInterrupted ends soon, with a result.
func TestInterrupted(t *testing.T) {
	r := people(t, 5000, roster.Options{Reuse: true})
	o := options(r, 0, serve(t, r, func(*exchange) {}))
	o.Timeout = time.Minute
	told := make(chan Progress, 100)
	o.Progress = func(p Progress) { told <- p }
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-told
		cancel()
	}()
	began := time.Now()
	result, err := Run(ctx, o)
	if err != nil || !result.Interrupted || result.Unfinished != 4 || time.Since(began) > 10*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}

// TestWarmup is apart from what is measured.
func TestWarmup(t *testing.T) {
	r := people(t, 5000, roster.Options{Reuse: true})
	o := options(r, 0, serve(t, r, nil, forgetting(true)))
	o.Outstanding, o.Rate, o.Warmup, o.Duration, o.ReuseAccepted = 0, 200, 500*time.Millisecond, time.Second, true
	o.Timeout = 20 * time.Second
	result := load(t, o)
	if result.Warmup.Accepted < 80 || result.Measured.Accepted < 180 || result.Measured.Accepted > 220 ||
		result.Times.Accepted.Count() != result.Measured.Accepted {
		t.Errorf("%+v\n%+v", result.Warmup, result.Measured)
	}
}

// TestOptions refuses what makes no sense.
func TestOptions(t *testing.T) {
	for _, c := range []struct {
		change func(o *Options)
		want   string
	}{
		{func(o *Options) { o.Servers = nil }, "servers"},
		{func(o *Options) { o.Secret = nil }, "secret"},
		{func(o *Options) { o.Roster = nil }, "devices"},
		{func(o *Options) { o.Outstanding = 0 }, "either a rate"},
		{func(o *Options) { o.Rate = 1 }, "either a rate"},
		{func(o *Options) { o.Rate, o.Outstanding = MaxRate+1, 0 }, "rate"},
		{func(o *Options) { o.Outstanding = MaxOutstanding + 1 }, "outstanding"},
		{func(o *Options) { o.Each, o.Spread = true, true }, "outstanding at each server"},
		{func(o *Options) { o.Each, o.Outstanding, o.Rate = true, 0, 1 }, "outstanding at each server"},
		{func(o *Options) {
			o.Each, o.Lanes, o.Outstanding, o.Servers = true, 2, 257, append(o.Servers, o.Servers...)
		}, "for 514"},
		{func(o *Options) { o.Each, o.Lanes, o.Servers = true, 3, append(o.Servers, o.Servers...) }, "3 ports"},
		{func(o *Options) { o.Duration = 0 }, "duration"},
		{func(o *Options) { o.Duration = MaxDuration + 1 }, "duration"},
		{func(o *Options) { o.Timeout = 0 }, "timeout"},
		{func(o *Options) { o.Tries = 0 }, "tries"},
		{func(o *Options) { o.Linger = -1 }, "linger"},
		{func(o *Options) { o.Count = -1 }, "count"},
		{func(o *Options) { o.Wrong = 2 }, "wrong"},
		{func(o *Options) { o.Lanes = MaxLanes + 1 }, "ports"},
		{func(o *Options) { o.Lanes, o.Outstanding = 1, 257 }, "Identifiers"},
		{func(o *Options) { o.NAS = strings.Repeat("x", 65) }, "NAS-Identifier"},
		{func(o *Options) { o.Now = nil }, "clock"},
		{func(o *Options) {
			o.Method, o.Roster = PasswordAndCode, people(t, 1, roster.Options{Password: strings.Repeat("x", 121)})
		}, "passwords"},
	} {
		o := options(people(t, 1, roster.Options{}), 1, &server{conn: someConn(t)})
		c.change(&o)
		if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want something about %q", err, c.want)
		}
	}
}

func someConn(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
