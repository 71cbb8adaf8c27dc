package storetest

import (
	"testing"
	"time"

	"otpgate/otp"
)

func digest(n byte) (d otp.Digest) {
	for i := range d {
		d[i] = n
	}
	return d
}

func (x *exam) put(kind otp.TicketKind, d otp.Digest, tries int) {
	x.Helper()
	t := otp.Ticket{Kind: kind, Account: x.account, Digest: d, Tries: tries, Expires: start.Add(time.Hour)}
	if err := x.store.PutTicket(x.context(), t); err != nil {
		x.Fatal(err)
	}
}

func (x *exam) check(kind otp.TicketKind, d otp.Digest, after time.Duration, want bool) {
	x.Helper()
	got, err := x.store.CheckTicket(x.context(), kind, x.account, d, start.Add(after))
	if err != nil || got != want {
		x.Fatalf("CheckTicket: %t, %v; want %t", got, err, want)
	}
}

func (x *exam) take(kind otp.TicketKind, d otp.Digest, after time.Duration, want bool) {
	x.Helper()
	got, err := x.store.TakeTicket(x.context(), kind, x.account, d, start.Add(after))
	if err != nil || got != want {
		x.Fatalf("TakeTicket: %t, %v; want %t", got, err, want)
	}
}

func runTickets(t *testing.T, open Open) {
	const kind, other = otp.EnrollmentTicket, otp.InvitationTicket
	cases{
		{"absent", func(x *exam) {
			x.check(kind, digest(1), 0, false)
			x.take(kind, digest(1), 0, false)
			x.check(kind, otp.Digest{}, 0, false)
			x.take(kind, otp.Digest{}, 0, false)
		}},
		{"checked, then taken once", func(x *exam) {
			x.put(kind, digest(1), 5)
			x.check(kind, digest(1), 0, true)
			x.take(kind, digest(1), 0, true)
			x.take(kind, digest(1), 0, false)
			x.check(kind, digest(1), 0, false)
		}},
		{"taking with another digest leaves it", func(x *exam) {
			x.put(kind, digest(1), 5)
			x.take(kind, digest(2), 0, false)
			x.take(kind, digest(1), 0, true)
		}},
		{"every bit of the digest counts", func(x *exam) {
			x.put(kind, digest(1), 1000)
			for bit := range 256 {
				d := digest(1)
				d[bit/8] ^= 1 << (bit % 8)
				x.check(kind, d, 0, false)
				x.take(kind, d, 0, false)
			}
			x.check(kind, digest(1), 0, true)
		}},
		{"each check spends a try, and with the last one it is gone", func(x *exam) {
			x.put(kind, digest(1), 5)
			for range 5 {
				x.check(kind, digest(2), 0, false)
			}
			x.check(kind, digest(1), 0, false)
			x.take(kind, digest(1), 0, false)
		}},
		{"right checks spend tries too", func(x *exam) {
			x.put(kind, digest(1), 3)
			for range 3 {
				x.check(kind, digest(1), 0, true)
			}
			x.check(kind, digest(1), 0, false)
		}},
		{"the last try may be the right one", func(x *exam) {
			x.put(kind, digest(1), 2)
			x.check(kind, digest(2), 0, false)
			x.check(kind, digest(1), 0, true)
			x.check(kind, digest(1), 0, false)
			x.take(kind, digest(2), 0, false)
			x.take(kind, digest(1), 0, true)
			x.take(kind, digest(1), 0, false)
		}},
		{"without tries from the start", func(x *exam) {
			x.put(kind, digest(1), 3)
			x.put(kind, digest(2), 0)
			x.check(kind, digest(2), 0, false)
			x.take(kind, digest(2), 0, false)
			x.take(kind, digest(1), 0, false)
		}},
		{"expired", func(x *exam) {
			x.put(kind, digest(1), 5)
			x.check(kind, digest(1), time.Hour-time.Millisecond, true)
			x.check(kind, digest(1), time.Hour, false)
			x.put(kind, digest(1), 5)
			x.take(kind, digest(1), time.Hour+time.Second, false)
			x.put(kind, digest(1), 5)
			x.take(kind, digest(1), time.Hour-time.Millisecond, true)
		}},
		{"a new one ends the old one, and has its own tries", func(x *exam) {
			x.put(kind, digest(1), 2)
			x.check(kind, digest(9), 0, false)
			x.put(kind, digest(2), 2)
			x.check(kind, digest(1), 0, false)
			x.take(kind, digest(1), 0, false)
			x.check(kind, digest(2), 0, true)
			x.take(kind, digest(2), 0, true)
			x.take(kind, digest(1), 0, false)
		}},
		{"kinds and accounts have their own", func(x *exam) {
			x.put(kind, digest(1), 5)
			x.put(other, digest(2), 5)
			x.check(other, digest(1), 0, false)
			x.check(kind, digest(2), 0, false)
			x.account = "another"
			x.check(kind, digest(1), 0, false)
			x.put(kind, digest(3), 5)
			x.account = "0c1d2e3f-4a5b-6c7d-8e9f-a0b1c2d3e4f5"
			x.take(kind, digest(3), 0, false)
			x.take(kind, digest(1), 0, true)
			x.take(other, digest(2), 0, true)
		}},
		{"of every kind there is one, and each ends alone", func(x *exam) {
			for i, k := range otp.TicketKinds() {
				x.put(k, digest(byte(i+1)), 2)
			}
			for i, k := range otp.TicketKinds() {
				x.check(k, digest(byte(i+1)), 0, true)
				x.take(k, digest(byte(i+2)), 0, false)
				x.take(k, digest(byte(i+1)), 0, true)
				x.take(k, digest(byte(i+1)), 0, false)
			}
		}},
		{"a ticket is no device", func(x *exam) {
			x.account = "only-a-ticket"
			x.put(kind, digest(1), 5)
			if s := x.snapshot(x.account); s.Version != 0 || len(s.Devices) != 0 {
				x.Fatalf("%+v", s)
			}
		}},
	}.run(t, open)
}
