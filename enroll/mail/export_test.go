package mail

import (
	"bytes"
	netmail "net/mail"
	"time"
)

// Render returns the octets of a mail as they are handed to the server.
func Render(m Message, from string, now time.Time) ([]byte, error) {
	msg, err := build(m, &netmail.Address{Address: from}, now)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err = msg.WriteTo(&b)
	return b.Bytes(), err
}

// Backoff is how long to wait after so many tries.
func Backoff(tries int) time.Duration { return backoff(tries) }
