package gateway

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"otpgate/cmd/radload/packet"
	"otpgate/cmd/radload/roster"
)

// Method is what a login sends as its password.
type Method uint8

// The methods, by the client's setting login of otpgate.
const (
	Code             Method = iota // code: the code
	PasswordAndCode                // password+code: the code right behind the password
	PasswordThenCode               // password-then-code: the password, and the code when it is asked for
)

// Replay says when accepted codes are sent once more, in another packet, which has to be refused.
type Replay uint8

// The times of a replay.
const (
	ReplayNever      Replay = iota
	ReplayAtOnce            // to the server after the one that has accepted it, as soon as it has
	ReplayAfterwards        // to all servers, after the run
)

// Bounds of a run.
const (
	MaxRate        = 1e6
	MaxOutstanding = 1 << 16
	MaxDuration    = 24 * time.Hour
	MaxLanes       = 1024
)

// Options say what is sent where, and how much of it.
type Options struct {
	Servers []netip.AddrPort
	Sources []netip.Addr // that packets come from, lane by lane; empty: what the system takes
	Secret  []byte
	Roster  *roster.Roster
	Method  Method
	NAS     string // NAS-Identifier; empty: none

	// One of these: logins per second, or how many are outstanding.
	Rate        float64
	Outstanding int

	Poisson  bool          // arrivals of an open loop come by chance rather than evenly
	Duration time.Duration // of what is measured
	Warmup   time.Duration // before that
	Count    int64         // of logins at most; 0: no such limit
	Timeout  time.Duration // after which a packet is sent again
	Tries    int           // how often it is sent in all
	Linger   time.Duration // how long late answers are waited for at the end
	Lanes    int           // 0: as many as it takes

	Spread    bool // logins begin at the servers in turn, rather than at the first
	Each      bool // Outstanding is at each server, and whatever is over there is followed there
	Signature packet.Signature
	Wrong     float64 // share of logins with a wrong code
	Replay    Replay
	// ReuseAccepted: a code that is used again is expected to be accepted, by a server that knows no replay.
	ReuseAccepted bool

	// Progress is told how it goes once a second, if it is not nil.
	Progress func(Progress)
	// Now is the clock that codes are made for; durations are measured by it as well.
	Now func() time.Time
}

// check says what is wrong with the options, and completes them.
func (o *Options) check() error {
	switch {
	case len(o.Servers) == 0 || len(o.Servers) > 16:
		return errors.New("1 to 16 servers are needed")
	case len(o.Secret) == 0:
		return errors.New("there is no shared secret")
	case o.Roster == nil || o.Roster.Len() == 0:
		return errors.New("there are no devices")
	case (o.Rate > 0) == (o.Outstanding > 0):
		return errors.New("either a rate or a number outstanding is needed")
	case !(o.Rate >= 0 && o.Rate <= MaxRate):
		return fmt.Errorf("the rate is not up to %.0f logins per second", float64(MaxRate))
	case o.Outstanding < 0 || o.Outstanding > MaxOutstanding:
		return fmt.Errorf("outstanding is not up to %d logins", MaxOutstanding)
	case o.Each && (o.Outstanding == 0 || o.Spread):
		return errors.New("outstanding at each server needs a number outstanding, and no logins that begin in turn")
	case o.Duration <= 0 || o.Duration+o.Warmup > MaxDuration || o.Warmup < 0:
		return fmt.Errorf("the duration is not up to %s", MaxDuration)
	case o.Timeout < 10*time.Millisecond || o.Timeout > time.Minute:
		return errors.New("the timeout is not 10ms to 1m")
	case o.Tries < 1 || o.Tries > 16:
		return errors.New("the tries are not 1 to 16")
	case o.Linger < 0 || o.Linger > time.Minute:
		return errors.New("the linger is not up to 1m")
	case o.Count < 0:
		return errors.New("the count is negative")
	case !(o.Wrong >= 0 && o.Wrong <= 1):
		return errors.New("the share of wrong codes is not 0 to 1")
	case o.Lanes < 0 || o.Lanes > MaxLanes:
		return fmt.Errorf("the ports are not up to %d", MaxLanes)
	case len(o.NAS) > 64:
		return errors.New("the NAS-Identifier has more than 64 octets")
	case o.Method != Code && o.Roster.LongestPassword()+8 > packet.MaxPassword:
		return fmt.Errorf("passwords have more than %d octets", packet.MaxPassword-8)
	case o.Now == nil:
		return errors.New("there is no clock")
	}
	if o.Lanes == 0 {
		o.Lanes = o.lanes()
		if o.Each {
			o.Lanes = min(o.Lanes, MaxLanes/len(o.Servers)) * len(o.Servers)
		}
	}
	if o.Each && o.Lanes%len(o.Servers) != 0 {
		return fmt.Errorf("%d ports are not as many for each of %d servers", o.Lanes, len(o.Servers))
	}
	if room := o.Lanes * identifiers; o.underWay() > room {
		return fmt.Errorf("%d ports have Identifiers for %d logins, not for %d", o.Lanes, room, o.underWay())
	}
	return nil
}

// underWay is how many logins are outstanding in all, in a closed loop.
func (o *Options) underWay() int {
	if o.Each {
		return o.Outstanding * len(o.Servers)
	}
	return o.Outstanding
}

// lanes is how many ports it takes: in a closed loop so many that an Identifier rests for a while before
// it is used again; in an open loop so many that a server may be silent as long as a gateway waits.
func (o *Options) lanes() int {
	least, most := 1, 256
	if o.Replay != ReplayNever {
		least = 32 // refusals take their time
	}
	if o.Outstanding > 0 {
		return min(max(o.Outstanding/64, least), MaxLanes)
	}
	patience := o.Timeout * time.Duration(o.Tries)
	return min(max(int(o.Rate*patience.Seconds()/(identifiers-32))+1, least), most)
}
