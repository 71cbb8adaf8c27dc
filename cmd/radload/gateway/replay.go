package gateway

import (
	"context"
	"time"

	"otpgate/cmd/radload/roster"
)

// maxReplays is how many accepted codes are remembered for afterwards.
const maxReplays = 1 << 22

// replayPeriods is how long codes are replayed: no server takes one any more that is as old.
const replayPeriods = 4

// reserve makes room for the codes that are replayed afterwards.
func (r *run) reserve() {
	o := &r.options
	if o.Replay != ReplayAfterwards {
		return
	}
	most := maxReplays / len(r.lanes)
	if o.Count > 0 {
		most = min(most, int(o.Count))
	}
	for _, n := range r.lanes {
		n.accepted = make([]roster.Turn, 0, most)
	}
}

// replayAll sends every accepted code to every server, the latest first, because the oldest are refused
// for their age soon.
func (r *run) replayAll(ctx context.Context) {
	until := r.since() + int64(replayPeriods*r.options.Roster.Period())
	for server := range r.options.Servers {
		for _, n := range r.lanes {
			n.mu.Lock()
			turns := n.accepted
			n.mu.Unlock()
			for i := len(turns) - 1; i >= 0; i-- {
				r.replayOne(ctx, turns[i], server, until)
			}
		}
	}
}

// replayOne sends one code, when an Identifier is free for it.
func (r *run) replayOne(ctx context.Context, turn roster.Turn, server int, until int64) {
	for {
		for range r.lanes {
			n := r.lanes[r.home.Add(1)%uint64(len(r.lanes))]
			n.mu.Lock()
			now := r.since()
			over := ctx.Err() != nil || now > until
			room := n.free.count > 0
			switch {
			case over:
				n.measured.ReplayLeftOut++
			case room:
				n.begin(login{turn: turn, intended: now, home: uint8(server), measured: true, replay: true}, nil, now)
				n.flush()
			}
			n.mu.Unlock()
			if over || room {
				return
			}
		}
		pause(ctx, time.Millisecond)
	}
}
