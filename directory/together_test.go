package directory_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"otpgate/directory"
	"otpgate/directory/directorytest"
	"otpgate/directory/slapdtest"
)

// mailbox is an asker that keeps answers for a test.
type mailbox chan []directory.Answer

func (m mailbox) Found(answers []directory.Answer) { m <- answers }

// questions about names, each of which is its own owner's.
func questions(patience time.Duration, names ...string) []directory.Question {
	all := make([]directory.Question, len(names))
	for i, name := range names {
		all[i] = directory.Question{Name: name, Patience: patience, Of: i}
	}
	return all
}

// collect waits for so many answers, and returns them by their questions.
func (m mailbox) collect(t *testing.T, n int) map[any]directory.Answer {
	t.Helper()
	got, late := map[any]directory.Answer{}, time.After(patience)
	for told := 0; told < n; {
		select {
		case answers := <-m:
			for _, a := range answers {
				got[a.Of] = a
			}
			told += len(answers)
		case <-late:
			t.Fatalf("%d of %d answers", told, n)
		}
	}
	if len(got) != n {
		t.Errorf("%d questions were answered by %d answers", len(got), n)
	}
	select {
	case more := <-m:
		t.Errorf("answers that nobody asked for: %v", more)
	default:
	}
	return got
}

// TestFindAllFindsWhatEachFindsAlone: good names, ambiguous ones, some that nobody has, some twice, some that
// cannot share a search.
func TestFindAllFindsWhatEachFindsAlone(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{LDIF: crowd(50)})
	for _, groups := range []bool{false, true} {
		c := over(server)
		c.Groups = groups
		alone := open(t, newClock(), c)
		all := append(names(), "", "alice", "twin", "person1", "person1")
		s, box := open(t, newClock(), c), make(mailbox, 10*len(all))
		const rounds = 5
		for range rounds {
			s.FindAll(t.Context(), questions(patience, all...), box)
			for of, got := range box.collect(t, len(all)) {
				name := all[of.(int)]
				want, err := alone.Find(soon(t, patience), name, nil)
				if fmt.Sprint(got.Err) != fmt.Sprint(err) || err == nil && got.Account.ID != want.ID {
					t.Errorf("%q: %v, %v; alone %v, %v", name, got.Account, got.Err, want, err)
				}
			}
		}
	}
}

// TestFindAllSharesSearches, also those of several calls, and asks for an equal name once.
func TestFindAllSharesSearches(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{LDIF: crowd(50)})
	c := over(server)
	c.Groups = false
	s, box := open(t, newClock(), c), make(mailbox, 1000)
	mustFind(t, s, "alice") // there is a connection
	before := searches(server)
	const calls = 64
	for i := range calls {
		s.FindAll(t.Context(), questions(patience, fmt.Sprint("person", i%50)), box)
	}
	for told := 0; told < calls; {
		answers := <-box
		for _, a := range answers {
			if a.Err != nil {
				t.Error(a.Err)
			}
		}
		told += len(answers)
	}
	searchesAre(t, server, func(got int) bool { return got > before && got-before < calls/2 })
}

// TestSearchesAreSharedAgainAfterAnOutage: while a directory was away it could not tell what many ask for, but that
// says nothing about their search. When it is back is when it has most to do.
func TestSearchesAreSharedAgainAfterAnOutage(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{LDIF: crowd(50)})
	c := over(server)
	c.Groups = false
	s, box := open(t, newClock(), c), make(mailbox, 1000)
	names := make([]string, 50)
	for i := range names {
		names[i] = fmt.Sprint("person", i)
	}
	told := func(want error) {
		t.Helper()
		s.FindAll(t.Context(), questions(patience, names...), box)
		for of, a := range box.collect(t, len(names)) {
			if !errors.Is(a.Err, want) {
				t.Errorf("%v: %v, want %v", of, a.Err, want)
			}
		}
	}
	told(nil)
	server.Stop()
	told(directory.ErrUnavailable)
	server.Start()
	eventually(t, func() bool { _, err := s.Find(soon(t, patience), "alice", nil); return err == nil })
	before := searches(server)
	told(nil)
	searchesAre(t, server, func(got int) bool { return got > before && got-before <= len(names)/5 })
}

// searchConnections are the package's, which are used in turn.
const searchConnections = 2

// TestASearchThatBreaksTheConnectionIsAskedOneAtATime: what is between a node and its directory cuts a connection on which
// there is more at once than it can read.
func TestASearchThatBreaksTheConnectionIsAskedOneAtATime(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{LDIF: crowd(50)})
	c := over(server)
	c.Groups, c.URLs = false, []string{"ldap://" + listen(t, func(client net.Conn) { carryShort(client, server.Addr()) })}
	s, box := open(t, newClock(), c), make(mailbox, 1000)
	for range searchConnections {
		mustFind(t, s, "alice") // so that a connection is there
	}
	names := make([]string, 20)
	for i := range names {
		names[i] = fmt.Sprint("person", i)
	}
	for round, want := range []error{directory.ErrUnavailable, nil, nil} {
		s.FindAll(t.Context(), questions(patience, names...), box)
		for of, a := range box.collect(t, len(names)) {
			if !errors.Is(a.Err, want) {
				t.Errorf("round %d, %v: %v, want %v", round, of, a.Err, want)
			}
		}
	}
}

// carryShort carries the messages of an LDAP connection there and back, until one comes that is long.
func carryShort(client net.Conn, to string) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() { _, _ = io.Copy(client, server) }()
	for in := bufio.NewReader(client); ; {
		// A message is a SEQUENCE (RFC 4511 section 4.1.1): a tag, its length in one octet, or in as many as that one says.
		head, err := in.Peek(2)
		if err != nil || head[1] > 0x80+1 { // longer than 255
			return
		}
		length := 2 + int(head[1])
		if head[1] == 0x80+1 {
			if head, err = in.Peek(3); err != nil {
				return
			}
			length = 3 + int(head[2])
		}
		if _, err := io.CopyN(server, in, int64(length)); err != nil {
			return
		}
	}
}

// TestAHangingDirectoryHoldsUpNoOther: of one call, those of a directory that answers are told at once, those of
// one that hangs when their patience is over, each for itself.
func TestAHangingDirectoryHoldsUpNoOther(t *testing.T) {
	hangs := directorytest.Base()
	hangs.Name, hangs.Realms, hangs.Timeout = "hangs", []string{"hangs"}, patience
	hangs.URLs = []string{"ldap://" + listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })}
	good := over(slapdtest.Start(t, slapdtest.Options{LDIF: crowd(3)}))
	good.Groups = false
	s, box := open(t, newClock(), good, hangs), make(mailbox, 100)
	all := questions(patience, "person1", "x@hangs", "person2", "y@hangs", "twin", "z@hangs")
	all[1].Patience, all[3].Patience = 50*time.Millisecond, 100*time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	s.FindAll(ctx, all, box)
	for of, a := range box.collect(t, 5) {
		var want error
		switch of {
		case 1, 3:
			want = context.DeadlineExceeded
		case 4:
			want = directory.ErrAmbiguous
		}
		if !errors.Is(a.Err, want) {
			t.Errorf("%v: %v, want %v", of, a.Err, want)
		}
	}
	cancel() // which ends the one that has more patience
	if a := box.collect(t, 1)[5]; !errors.Is(a.Err, directory.ErrUnavailable) || !errors.Is(a.Err, context.Canceled) {
		t.Errorf("at the end: %v", a.Err)
	}
}

// TestWhoGivesUpTakesNothingFromTheOthers who want the same name.
func TestWhoGivesUpTakesNothingFromTheOthers(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{})
	release := make(chan struct{})
	slow := listen(t, func(c net.Conn) {
		<-release
		to, err := net.Dial("tcp", server.Addr())
		if err != nil {
			return
		}
		defer to.Close()
		go func() { _, _ = io.Copy(to, c) }()
		_, _ = io.Copy(c, to)
	})
	c := over(server)
	c.Groups, c.URLs = false, []string{"ldap://" + slow}
	s, box := open(t, newClock(), c), make(mailbox, 100)
	all := questions(patience, "alice", "alice", "bob")
	all[0].Patience = 20 * time.Millisecond
	s.FindAll(t.Context(), all, box)
	if a := box.collect(t, 1)[0]; !errors.Is(a.Err, context.DeadlineExceeded) {
		t.Errorf("who gave up: %v", a.Err)
	}
	close(release)
	for of, a := range box.collect(t, 2) {
		if a.Err != nil || of == 0 {
			t.Errorf("%v: %v", of, a.Err)
		}
	}
}

// TestAnOldAccountServesManyWhileTheDirectoryIsGone: the first who ask find out, and all get it.
func TestAnOldAccountServesManyWhileTheDirectoryIsGone(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{LDIF: crowd(3)})
	c := over(server)
	c.Groups, c.Fresh, c.Stale = false, 0, time.Hour
	s, box := open(t, newClock(), c), make(mailbox, 100)
	s.FindAll(t.Context(), questions(patience, "person0", "person1"), box)
	box.collect(t, 2)
	server.Stop()
	for range 2 {
		s.FindAll(t.Context(), questions(patience, "person0", "person1", "person2"), box)
		for of, a := range box.collect(t, 3) {
			if of == 2 != errors.Is(a.Err, directory.ErrUnavailable) || of != 2 && a.Account == nil {
				t.Errorf("%v: %v, %v", of, a.Account, a.Err)
			}
		}
	}
}
