package gateway

import (
	"time"

	"otpgate/cmd/radload/latency"
	"otpgate/cmd/radload/packet"
)

// A Tally is what was counted. Every login is in one of the first group, once it is over.
type Tally struct {
	Begun           uint64
	Accepted        uint64 // as expected
	Refused         uint64 // as expected: a wrong or a used code
	WronglyAccepted uint64 // a wrong or a used code, or no code at all
	WronglyRefused  uint64 // a right and fresh code
	Repeated        uint64 // of those refused as expected: a fresh code that happens to be that of a step shortly before or after, too
	Lost            uint64 // no answer to any of its tries in time, nor a wrong decision afterwards
	Decided         uint64 // accepted or refused, rightly or not, while the time was running

	Replayed       uint64 // codes that had been accepted, sent once more
	ReplayAccepted uint64
	ReplayRefused  uint64
	ReplayLost     uint64
	ReplayLeftOut  uint64 // no Identifier was free, or the time was over

	Sent       uint64 // packets, without those that were sent again
	Resent     uint64
	Answered   uint64 // packets that had their first right answer
	Late       uint64 // first answers after the gateway had given up
	Same       uint64 // second answers of the same octets
	Different  uint64 // second answers of other octets, and the same decision
	Opposite   uint64 // second answers of another decision
	Unasked    uint64 // of second answers: more than were asked for
	Waited     uint64 // times that a login had to wait because no Identifier was free
	Omitted    uint64 // logins of an open loop that were due and could not begin before its end
	Wrong      [packet.SignedTooLate + 1]uint64
	Unsettled  uint64 // answers to what was never asked
	Unreached  uint64 // times that the system said that nobody listens there
	SendErrors uint64 // packets that the system did not take
}

// Add adds what another has counted.
func (t *Tally) Add(o *Tally) {
	for _, p := range [...]struct {
		to   *uint64
		from uint64
	}{
		{&t.Begun, o.Begun}, {&t.Accepted, o.Accepted}, {&t.Refused, o.Refused}, {&t.WronglyAccepted, o.WronglyAccepted},
		{&t.WronglyRefused, o.WronglyRefused}, {&t.Lost, o.Lost}, {&t.Decided, o.Decided}, {&t.Replayed, o.Replayed},
		{&t.ReplayAccepted, o.ReplayAccepted}, {&t.ReplayRefused, o.ReplayRefused}, {&t.ReplayLost, o.ReplayLost},
		{&t.ReplayLeftOut, o.ReplayLeftOut}, {&t.Sent, o.Sent}, {&t.Resent, o.Resent}, {&t.Answered, o.Answered},
		{&t.Late, o.Late}, {&t.Same, o.Same}, {&t.Different, o.Different}, {&t.Opposite, o.Opposite},
		{&t.Unasked, o.Unasked}, {&t.Waited, o.Waited}, {&t.Unsettled, o.Unsettled}, {&t.Unreached, o.Unreached},
		{&t.SendErrors, o.SendErrors}, {&t.Omitted, o.Omitted}, {&t.Repeated, o.Repeated},
	} {
		*p.to += p.from
	}
	for i, n := range o.Wrong {
		t.Wrong[i] += n
	}
}

// Over is how many logins are over.
func (t *Tally) Over() uint64 {
	return t.Accepted + t.Refused + t.WronglyAccepted + t.WronglyRefused + t.Lost
}

// WronglySigned is how many answers were wrong in themselves.
func (t *Tally) WronglySigned() (n uint64) {
	for _, w := range t.Wrong {
		n += w
	}
	return n
}

// Times are how long things took.
type Times struct {
	Accepted latency.Histogram // logins, from when they were to begin to the accept
	Refused  latency.Histogram // logins and replays that were refused, the same
	Exchange latency.Histogram // packets, from the first time that they were sent to the answer
}

// Add adds what another has counted.
func (t *Times) Add(o *Times) {
	t.Accepted.Add(&o.Accepted)
	t.Refused.Add(&o.Refused)
	t.Exchange.Add(&o.Exchange)
}

// Progress is how it goes.
type Progress struct {
	Since       time.Duration // since the run began
	Tally       Tally         // warm-up and all
	P50, P99    time.Duration // of accepted logins since the warm-up
	Outstanding int
}

// A Result is what came of a run.
type Result struct {
	Warmup, Measured Tally
	Times            Times         // of what was measured
	Elapsed          time.Duration // of what was measured
	Silence          time.Duration // the longest time in it without an accepted login
	Lanes            int
	UsedUp           bool // the devices did not suffice: the run ended before its time
	Interrupted      bool
	Unfinished       int       // logins that were neither answered nor lost at the end
	Mistakes         []Mistake // the first of each kind, in the order of their answers; warm-up and all
}

// Rate is how many logins were decided per second.
func (r *Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Measured.Decided) / r.Elapsed.Seconds()
}
