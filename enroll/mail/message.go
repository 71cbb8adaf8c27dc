package mail

import (
	"crypto/rand"
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// ErrAddress: an address that no mail can be sent to: not one bare addr-spec.
var ErrAddress = errors.New("not a mail address")

// maxAddress is the longest path that SMTP can carry (RFC 5321 section 4.5.3.1.3), less its
// angle brackets.
const maxAddress = 254

// A Message is one mail to one person.
type Message struct {
	To      string // one bare address
	Subject string
	Text    string    // the whole mail for those who read text
	HTML    string    // the same, for those who do not
	Expires time.Time // when it is of no use any more; it is not tried again after that
}

// address returns the mailbox if to is one bare address and nothing else.
func address(to string) (*netmail.Address, error) {
	if len(to) > maxAddress || strings.ContainsFunc(to, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return nil, ErrAddress
	}
	parsed, err := netmail.ParseAddress(to)
	if err != nil || parsed.Name != "" || parsed.Address != to {
		return nil, ErrAddress
	}
	return parsed, nil
}

// build makes the mail as it will be sent, however often that is tried: Message-ID and Date are
// those of the first time, so that a mail delivered twice is seen as one.
func build(m Message, from *netmail.Address, now time.Time) (*gomail.Msg, error) {
	to, err := address(m.To)
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(m.Subject, "\r\n\x00") {
		return nil, errors.New("the subject has more than one line")
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithCharset(gomail.CharsetUTF8),
		gomail.WithEncoding(gomail.EncodingQP))
	msg.FromMailAddress(from)
	msg.EnvelopeFromMailAddress(&netmail.Address{Address: from.Address})
	msg.ToMailAddress(to)
	msg.Subject(m.Subject)
	msg.SetDateWithValue(now)
	_, domain, _ := strings.Cut(from.Address, "@")
	msg.SetMessageIDWithValue(fmt.Sprintf("%s@%s", strings.ToLower(rand.Text()), domain))
	// RFC 3834 section 5: no out-of-office reply to this, please.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	return msg, nil
}
