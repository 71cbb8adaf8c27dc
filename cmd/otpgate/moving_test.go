package main

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"otpgate/cmd/radload/roster"
	"otpgate/radius/probe"
	"otpgate/radius/radiustest"
)

const (
	movers       = 8
	moverPorts   = 6
	moverTries   = 30
	moverTimeout = 600 * time.Millisecond
)

// mover is a gateway that sends each copy of a packet from the next of its ports, to the next node. It
// gives no Identifier to two logins, so that it knows of every answer which packet it is to.
type mover struct {
	ports    []*radiustest.Client
	codes    *roster.Generator
	requests map[byte][]byte // by Identifier
	heard    [][]byte
}

// moving has movers log so many people in each, then hears what else comes, and returns how many got in.
// The script fails when one did not, or when two answers to one packet differ.
func moving(ts *testscript.TestScript, l *load, each int) (logins int) {
	all := make([]*mover, movers)
	for i := range all {
		m := &mover{codes: roster.NewGenerator(), requests: map[byte][]byte{}}
		for port := range moverPorts {
			server := l.options.Servers[(i+port)%len(l.options.Servers)]
			m.ports = append(m.ports, radiustest.Dial(benchOf(ts).tb(ts), server.String(), string(l.options.Secret)))
		}
		all[i] = m
	}
	errs := make([]error, movers)
	var work sync.WaitGroup
	for i, m := range all {
		work.Go(func() {
			for errs[i] == nil && len(m.requests) < each {
				errs[i] = m.login(l)
			}
			errs[i] = errors.Join(errs[i], m.check(l.options.Linger))
		})
	}
	work.Wait()
	ts.Check(errors.Join(errs...))
	for _, m := range all {
		logins += len(m.requests)
	}
	return logins
}

// login has the next person log in.
func (m *mover) login(l *load) error {
	turn, ok := l.options.Roster.Next(time.Now().Unix())
	if !ok {
		return errors.New("the family is too small")
	}
	name := string(l.options.Roster.Name(turn.Device))
	request := probe.Login(string(l.options.Secret), name, string(l.options.Roster.Code(nil, m.codes, turn)))
	request.Identifier = byte(len(m.requests))
	octets := request.Octets()
	m.requests[request.Identifier] = octets
	for try := range moverTries {
		port := m.ports[try%len(m.ports)]
		if err := port.Write(octets); err != nil {
			return err
		}
		until := time.Now().Add(moverTimeout)
		for left := moverTimeout; left > 0; left = time.Until(until) {
			b, err := port.Receive(left)
			if errors.Is(err, radiustest.ErrSilence) {
				break
			}
			if err != nil {
				return err
			}
			m.heard = append(m.heard, b)
			if r, err := probe.Check(octets, b, string(l.options.Secret)); err == nil {
				if !r.Is(probe.AccessAccept) {
					return fmt.Errorf("%s is refused with a fresh code", name)
				}
				return nil
			}
		}
	}
	return fmt.Errorf("%s is not answered, by any of %d tries", name, moverTries)
}

// check hears what comes yet, and holds all answers to a packet against each other.
func (m *mover) check(within time.Duration) error {
	until := time.Now().Add(within + time.Second)
	for _, port := range m.ports {
		for {
			b, err := port.Receive(max(time.Until(until), time.Millisecond))
			if errors.Is(err, radiustest.ErrSilence) {
				break
			}
			if err != nil {
				return err
			}
			m.heard = append(m.heard, b)
		}
	}
	first := map[byte][]byte{}
	for _, b := range m.heard {
		request := m.requests[b[1]]
		if _, err := probe.Check(request, b, "testing-secret"); err != nil {
			return err
		}
		if first[b[1]] == nil {
			first[b[1]] = b
		}
		if !bytes.Equal(first[b[1]], b) {
			return fmt.Errorf("two answers to one packet: %x and %x", first[b[1]], b)
		}
	}
	return nil
}
