package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"otpgate/cmd/internal/console"
	"otpgate/cmd/radload/flood"
	"otpgate/cmd/radload/gateway"
	"otpgate/cmd/radload/packet"
)

// choose turns the words of the command line into options.
func (f *runFlags) choose() error {
	o := &f.options
	var err error
	pick := func(flag, word string, chosen bool) {
		if !chosen && err == nil {
			err = console.Usage(console.WithHint(fmt.Errorf("--%s %q is not one of its words", flag, word), "see radload run --help"))
		}
	}
	pick("login", f.login, one(f.login, &o.Method, map[string]gateway.Method{
		"code": gateway.Code, "password+code": gateway.PasswordAndCode, "password-then-code": gateway.PasswordThenCode,
	}))
	pick("message-authenticator", f.signature, one(f.signature, &o.Signature, map[string]packet.Signature{
		"first": packet.SignedFirst, "anywhere": packet.SignedSomewhere, "optional": packet.SignedMaybe,
	}))
	pick("replay", f.replay, one(f.replay, &o.Replay, map[string]gateway.Replay{
		"never": gateway.ReplayNever, "at-once": gateway.ReplayAtOnce, "afterwards": gateway.ReplayAfterwards,
	}))
	pick("reuse", f.reuse, one(f.reuse, &o.ReuseAccepted, map[string]bool{"": false, "refused": false, "accepted": true}))
	if err == nil && o.Each && (o.Outstanding == 0 || o.Spread) {
		err = console.Usage(errors.New("--each goes with --outstanding, and not with --spread"))
	}
	if err == nil && o.Method != gateway.Code && f.family.password == "" {
		err = console.Usage(fmt.Errorf("--login %s needs --password", f.login))
	}
	return err
}

func one[T any](word string, into *T, words map[string]T) bool {
	v, ok := words[word]
	*into = v
	return ok
}

// parseFlood reads kind:rate[@source].
func parseFlood(text string) (o flood.Options, err error) {
	kind, rest, ok := strings.Cut(text, ":")
	if !ok {
		return o, errors.New("it is not kind:rate[@source]")
	}
	if o.Kind, err = flood.Parse(kind); err != nil {
		return o, err
	}
	rate, source, from := strings.Cut(rest, "@")
	if o.Rate, err = strconv.ParseFloat(rate, 64); err != nil || !(o.Rate > 0 && o.Rate <= flood.MaxRate) {
		return o, fmt.Errorf("the rate is not a number up to %.0f", float64(flood.MaxRate))
	}
	if from {
		if o.Source, err = netip.ParseAddr(source); err != nil {
			return o, err
		}
	}
	if o.Kind == flood.Stranger && !from {
		return o, errors.New("strangers need an address of their own: stranger:RATE@SOURCE")
	}
	return o, nil
}
