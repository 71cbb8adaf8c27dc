package main

import (
	"errors"
	"fmt"
	"slices"

	"otpgate/configs"
	"otpgate/otp"
	"otpgate/radius"
	"otpgate/radius/dictionary"
	"otpgate/radius/hours"
	"otpgate/radius/reply"
)

// gateways is what the configuration says of RADIUS clients, ready to use.
type gateways struct {
	clients    []radius.Client
	dictionary *dictionary.Dictionary
	groups     bool     // somebody wants to know the groups of accounts
	attributes []string // of accounts, that replies are made of
}

// newGateways translates the clients. Its error is a *configs.Problems with everything that is
// wrong with dictionaries and attributes of replies, each at its line.
func newGateways(cfg *configs.Config) (*gateways, error) {
	problems := &configs.Problems{}
	g := &gateways{}
	var err error
	if g.dictionary, err = dictionary.New(cfg.Radius.DictionaryFiles...); err != nil {
		return nil, dictionaryProblems(cfg, err)
	}
	wanted := map[string]bool{}
	for i, c := range cfg.Radius.Clients {
		compiled := g.reply(cfg, i, problems)
		for _, name := range compiled.DirectoryAttributes() {
			if !wanted[name] {
				wanted[name], g.attributes = true, append(g.attributes, name)
			}
		}
		g.groups = g.groups || compiled.NeedsGroups() || len(c.AllowGroups)+len(c.DenyGroups)+len(c.PasswordOnlyGroups) > 0
		client, err := clientOf(c)
		if err != nil {
			problems.Add(cfg.Problem(fmt.Sprintf("radius.clients[%d]", i), err.Error(), ""))
			continue
		}
		client.Reply = compiled
		g.clients = append(g.clients, client)
	}
	if len(problems.List) > 0 {
		return nil, problems
	}
	slices.Sort(g.attributes) // a reload that asks for the same forgets nobody
	return g, nil
}

// dictionaryProblems says what is wrong with dictionary files, at their lines.
func dictionaryProblems(cfg *configs.Config, err error) *configs.Problems {
	problems := &configs.Problems{}
	all := []error{err}
	var several interface{ Unwrap() []error }
	if errors.As(err, &several) {
		all = several.Unwrap()
	}
	for _, one := range all {
		var e *dictionary.Error
		if !errors.As(one, &e) {
			problems.Add(cfg.Problem("radius.dictionary_files", oneLine(one), "files as FreeRADIUS has them: ATTRIBUTE, VALUE, VENDOR"))
			continue
		}
		problems.Add(configs.Problem{File: e.File, Line: max(e.Line, 1), Column: 1, Message: e.Message, Hint: e.Hint})
	}
	return problems
}

// reply compiles the attributes that one client's accepts carry.
func (g *gateways) reply(cfg *configs.Config, i int, problems *configs.Problems) *reply.Reply {
	c := cfg.Radius.Clients[i]
	o := reply.Options{
		Dictionary: g.dictionary, Only: c.ReplyOnly,
		Groups: reply.Tell{Names: c.ReplyGroups.Tell, Attribute: c.ReplyGroups.Attribute, Form: reply.Form(c.ReplyGroups.Form)},
	}
	if c.Origins["reply_only"] == configs.FromProfile {
		o.OnlyBy = "profile " + c.Profile
	}
	for _, r := range c.Reply {
		rule := reply.Rule{Group: r.Group}
		for _, a := range r.Attributes {
			rule.Attributes = append(rule.Attributes, reply.Setting{Name: a.Name, Values: a.Values})
		}
		o.Rules = append(o.Rules, rule)
	}
	compiled, wrong := reply.Compile(o)
	for _, p := range wrong {
		problems.Add(cfg.Problem(replyKey(c, i, p), p.Message, p.Hint))
	}
	return compiled
}

// replyKey is the key in the configuration that a problem of a reply is about.
func replyKey(c configs.Client, i int, p reply.Problem) string {
	client := fmt.Sprintf("radius.clients[%d]", i)
	switch {
	case p.Rule == reply.InOnly:
		return client + ".reply_only"
	case p.Rule < 0 || p.Rule >= len(c.Reply):
		return client + ".reply_groups"
	}
	for _, a := range c.Reply[p.Rule].Attributes {
		switch {
		case a.Name == p.Attribute && p.Value >= 0 && p.Value < len(a.Values):
			return a.ValueKey(p.Value)
		case a.Name == p.Attribute:
			return a.Key
		}
	}
	return fmt.Sprintf("%s.reply[%d]", client, p.Rule)
}

// The words of the configuration, as package radius has them.
var (
	signing = map[string]radius.MessageAuthenticator{
		"required": radius.Required, "learn": radius.Learn, "optional": radius.Optional, "omit": radius.Omit,
	}
	factors = map[string]radius.Login{
		"code": radius.LoginCode, "password+code": radius.LoginPasswordCode,
		"password-then-code": radius.LoginPasswordThenCode, "password": radius.LoginPassword,
	}
	charsets = map[string]radius.Charset{
		"auto": radius.CharsetAuto, "utf-8": radius.CharsetUTF8, "iso-8859-1": radius.CharsetLatin1,
	}
)

// clientOf translates one gateway, but for its replies.
func clientOf(c configs.Client) (radius.Client, error) {
	client := radius.Client{
		Name: c.Name, Networks: c.Networks, CertificateNames: c.CertificateNames,
		Secret: []byte(c.Secret.Reveal()), PreviousSecret: []byte(c.PreviousSecret.Reveal()),
		MessageAuthenticator: signing[c.MessageAuthenticator], UnsignedProxyState: c.AcceptUnsignedProxyState,
		Login: factors[c.Login], PasswordOnlyGroups: c.PasswordOnlyGroups, MPPE: c.MPPE == "inside_tls_or_ike",
		Charset: charsets[c.Charset], ChallengePrompt: c.ChallengePrompt, Timeout: c.Timeout,
		Directories: c.Directories, AllowGroups: c.AllowGroups, DenyGroups: c.DenyGroups,
		FailoverGrace: c.FailoverGrace, Share: otp.Share{Times: c.SharedCode.Times, Within: c.SharedCode.Within},
	}
	for _, n := range c.ReplyOnly {
		client.ReplyOnly = append(client.ReplyOnly, byte(n))
	}
	if len(c.Hours.Spans) > 0 {
		spans := make([]hours.Span, len(c.Hours.Spans))
		for i, s := range c.Hours.Spans {
			spans[i] = hours.Span(s)
		}
		h, err := hours.New(c.Hours.Zone, spans)
		if err != nil {
			return client, err
		}
		client.Hours = &h
	}
	return client, nil
}
