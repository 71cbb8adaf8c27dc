package storetest

import (
	"testing"
	"time"

	"otpgate/otp"
)

func runPasswords(t *testing.T, open Open) {
	cases{
		{"the third wrong password uses up the step", func(x *exam) {
			for n := 1; n <= otp.MaxWrongPasswords; n++ {
				x.wantReceipt(x.wrongPassword(100, n, n, 0), otp.Counted, n, never)
			}
			x.want(x.wrongPassword(100, 50, 1, 0), otp.Used)
			x.want(x.use(100, 51, 1, 0), otp.Used)
		}},
		{"two wrong passwords leave the step", func(x *exam) {
			for n := 1; n < otp.MaxWrongPasswords; n++ {
				x.want(x.wrongPassword(100, n, 1, 0), otp.Counted)
			}
			x.want(x.use(100, 50, 1, 0), otp.Claimed)
		}},
		{"the same token counts once", func(x *exam) {
			for range 5 {
				x.wantReceipt(x.wrongPassword(100, 1, 1, 0), otp.Counted, 1, never)
			}
			x.wantReceipt(x.wrongPassword(100, 2, 1, 0), otp.Counted, 2, never)
			x.wantReceipt(x.wrongPassword(100, 1, 1, time.Hour), otp.Counted, 2, never)
		}},
		{"used up comes before counted", func(x *exam) {
			for n := 1; n <= otp.MaxWrongPasswords; n++ {
				x.want(x.wrongPassword(100, n, 1, 0), otp.Counted)
			}
			x.want(x.wrongPassword(100, 1, 1, 0), otp.Used)
		}},
		{"other steps are not used up with it", func(x *exam) {
			for n := 1; n <= otp.MaxWrongPasswords; n++ {
				x.want(x.wrongPassword(101, n, 1, 0), otp.Counted)
			}
			x.want(x.use(100, 50, 1, 0), otp.Claimed)
			x.want(x.use(101, 51, 1, 0), otp.Used)
			x.want(x.use(102, 52, 1, 0), otp.Claimed)
		}},
		{"turning between steps does not reset the count", func(x *exam) {
			for n := 1; n <= otp.MaxWrongPasswords; n++ {
				for step := int64(100); step < 105; step++ {
					x.wantReceipt(x.wrongPassword(step, n*1000+int(step), 1, 0), otp.Counted, n, never)
				}
			}
			for step := int64(100); step < 105; step++ {
				x.want(x.use(step, int(step), 1, 0), otp.Used)
			}
		}},
		{"more steps than a record can hold are not tried anew", func(x *exam) {
			for n := 1; n <= otp.MaxWrongPasswords; n++ {
				x.want(x.wrongPassword(100, n, 1, 0), otp.Counted)
			}
			for step := 101; step < 400; step++ {
				x.want(x.wrongPassword(int64(step), step, 1, 0), otp.Counted)
			}
			x.want(x.use(100, 5000, 1, 0), otp.Used)
		}},
		{"nor is a code that one of those and another step have", func(x *exam) {
			for n := 1; n <= otp.MaxWrongPasswords; n++ {
				x.want(x.wrongPassword(100, n, 1, 0), otp.Counted)
			}
			for step := 102; step < 200; step++ {
				x.want(x.wrongPassword(int64(step), step, 1, 0), otp.Counted)
				c := x.use(101, 5000+step, 1, 0)
				c.Span = 1
				x.want(c, otp.Used)
			}
		}},
		{"a claimed step is used", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.want(x.wrongPassword(100, 2, 1, 0), otp.Used)
			x.want(x.wrongPassword(99, 3, 1, 0), otp.Used)
		}},
		{"the token that claimed the step is never claimed for a wrong password", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.want(x.wrongPassword(100, 1, 1, 0), otp.Counted)
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
		}},
		{"wrong passwords do not count against the place", func(x *exam) {
			x.want(x.wrongPassword(100, 1, 1, 0), otp.Counted)
			x.want(x.wrongPassword(100, 2, 1, 0), otp.Counted)
			x.wantReceipt(x.wrongCode(1, 1, 0), otp.Counted, 1, never)
		}},
		{"wrong passwords do not make a place known", func(x *exam) {
			x.want(x.wrongPassword(100, 1, 1, 0), otp.Counted)
			x.throttle(2)
			x.want(x.use(100, 2, 1, time.Second), otp.Throttled)
		}},
		{"a device has counts of its own", func(x *exam) {
			for n := 1; n <= otp.MaxWrongPasswords; n++ {
				x.want(x.wrongPassword(100, n, 1, 0), otp.Counted)
			}
			other := deviceID(2)
			x.add(x.account, other)
			x.refresh()
			c := x.use(100, 50, 1, 0)
			c.Device = other
			x.want(c, otp.Claimed)
			x.want(x.use(100, 51, 1, 0), otp.Used)
		}},
	}.run(t, open)
}
