package redisstore_test

import (
	"testing"
	"time"

	"otpgate/otp"
	"otpgate/otp/redisstore"
	"otpgate/otp/redisstore/redistest"
)

// TestNotesLeaveByThemselves asks Redis how long it will keep them: 30 days longer than the latest.
func TestNotesLeaveByThemselves(t *testing.T) {
	const month, slack = 30 * 24 * time.Hour, time.Minute
	server := redistest.Start(t)
	s := open(t, redisstore.Options{Addresses: []string{server.Addr}})
	clock, err := s.Ping(background(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		field   string
		expires time.Time
		want    time.Duration
	}{
		{"a", clock.Add(time.Hour), month + time.Hour},
		{"b", clock.Add(time.Minute), month + time.Hour}, // a is still there
		{"b", time.Time{}, month + time.Hour},
		{"a", clock.Add(2 * time.Hour), month + 2*time.Hour},
		{"c", clock.Add(1000 * time.Hour), month + 1000*time.Hour},
	} {
		n := otp.Note{Kind: "kind", Key: "key", Field: step.field, Value: []byte("v"), Expires: step.expires}
		if err := s.PutNotes(background(t), []otp.Note{n}); err != nil {
			t.Fatal(err)
		}
		left, err := admin(t, server).PTTL(background(t), "otpgate:{key}:n:kind").Result()
		if err != nil || left > step.want+slack || left < step.want-slack {
			t.Errorf("%s until %v: left are %v, want %v (%v)", step.field, step.expires, left, step.want, err)
		}
	}
	n := otp.Note{Kind: "kind", Key: "never", Field: "f", Value: []byte("v")} // expired when it was put
	if err := s.PutNotes(background(t), []otp.Note{n}); err != nil {
		t.Fatal(err)
	}
	if left, err := admin(t, server).PTTL(background(t), "otpgate:{never}:n:kind").Result(); err != nil || left > month+slack || left < month-slack {
		t.Errorf("left are %v (%v)", left, err)
	}
	n.Value = nil
	if err := s.PutNotes(background(t), []otp.Note{n}); err != nil {
		t.Fatal(err)
	}
	if there, err := admin(t, server).Exists(background(t), "otpgate:{never}:n:kind").Result(); err != nil || there != 0 {
		t.Errorf("a key without notes is there (%v)", err)
	}
}

// TestAPlainClaimKeepsNothingNew looks at the hash of an account that uses nothing of what is optional: it
// is what an older release wrote and reads.
func TestAPlainClaimKeepsNothingNew(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{Addresses: []string{server.Addr}})
	addDevice(t, s, "a")
	wrong := useStep("a", 0, 9)
	wrong.Kind, wrong.Miss = otp.WrongCode, otp.Miss{1}
	s.Claim(background(t), []otp.Claim{useStep("a", 100, 1), wrong})
	fields, err := admin(t, server).HKeys(background(t), "otpgate:{a}:a").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		if f == "c" || f == "m" {
			t.Errorf("field %q", f)
		}
	}
	// What is optional begins with the first claim that uses it.
	c := useStep("a", 101, 2)
	c.Challenge, c.Share = otp.Challenged{ID: [8]byte{1}, Tries: 3}, otp.Share{Times: 2, Within: time.Minute}
	if r := claimOne(background(t), s, c); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	c.Token = otp.Token{3}
	if r := claimOne(background(t), s, c); r.Answer != otp.Spent {
		t.Fatalf("%+v", r)
	}
}
