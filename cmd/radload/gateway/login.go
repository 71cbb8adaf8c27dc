package gateway

import (
	"strconv"

	"otpgate/cmd/radload/packet"
	"otpgate/cmd/radload/roster"
)

// login is one try of a person to get in, or a replay of one that did.
type login struct {
	turn     roster.Turn
	intended int64 // when it was to begin, in nanoseconds since the run did
	home     uint8 // the server that it begins at
	measured bool
	wrong    bool // carries a wrong code
	replay   bool
	second   bool // answers a challenge
}

// mayPass reports whether the login is expected to be accepted.
func (l *login) mayPass(o *Options) bool {
	return !l.wrong && !l.replay && (!l.turn.Again || o.ReuseAccepted)
}

// asksPassword reports whether the packet carries the password alone, so that it is to be challenged.
func (l *login) asksPassword(o *Options) bool { return o.Method == PasswordThenCode && !l.second }

// scratch is what a lane makes the fields of a packet in.
type scratch struct {
	password [packet.MaxPassword + 64 + 8]byte
	station  [32]byte
	login    packet.Login

	authenticator [16]byte
}

// fields says what a login's packet carries. state is that of the challenge which it answers.
func (n *lane) fields(l *login, state []byte) *packet.Login {
	o, s := &n.run.options, &n.scratch
	password := s.password[:0]
	if o.Method != Code && !l.second {
		password = o.Roster.Password(password, l.turn.Device)
	}
	if !l.asksPassword(o) {
		if l.wrong {
			password = o.Roster.WrongCode(password, n.generator, l.turn)
		} else {
			password = o.Roster.Code(password, n.generator, l.turn)
		}
	}
	s.login = packet.Login{
		Name: o.Roster.Name(l.turn.Device), Password: password, State: state,
		NAS: n.run.nas, CallingStation: station(s.station[:0], l),
	}
	return &s.login
}

// station appends where a person sits: everybody at a place of her own, and whoever types wrong or used
// codes elsewhere, because a server may let that place wait.
func station(b []byte, l *login) []byte {
	d := uint64(l.turn.Device)
	if l.wrong || l.replay {
		b = append(b, "172."...)
	} else {
		b = append(b, "10."...)
	}
	b = strconv.AppendUint(b, d>>16&255, 10)
	b = append(b, '.')
	b = strconv.AppendUint(b, d>>8&255, 10)
	b = append(b, '.')
	return strconv.AppendUint(b, d&255, 10)
}
