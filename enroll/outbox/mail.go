package outbox

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"strings"
	"time"
)

// A Mail is one that was handed in, as it came and as people read it.
type Mail struct {
	Number   int    // counts up from 1
	From, To string // of the envelope
	Header   netmail.Header
	Subject  string // decoded
	Text     string // the text/plain part, decoded; lines end with \n
	HTML     string // the text/html part, decoded
	Raw      []byte
	Received time.Time
	Err      error // why it could not be parsed, if so
}

// maxParts is how many parts of a mail are looked at.
const maxParts = 20

// parse fills in what the octets say.
func (m *Mail) parse() {
	msg, err := netmail.ReadMessage(bytes.NewReader(m.Raw))
	if err != nil {
		m.Err = fmt.Errorf("outbox: header: %w", err)
		return
	}
	m.Header = msg.Header
	var words mime.WordDecoder
	if m.Subject, err = words.DecodeHeader(msg.Header.Get("Subject")); err != nil {
		m.Err = fmt.Errorf("outbox: subject: %w", err)
		return
	}
	left := maxParts
	if err := m.part(msg.Header.Get, msg.Body, &left); err != nil {
		m.Err = fmt.Errorf("outbox: body: %w", err)
	}
}

// part reads one part, which may have parts itself.
func (m *Mail) part(header func(string) string, body io.Reader, left *int) error {
	if *left--; *left < 0 {
		return errors.New("too many parts")
	}
	kind, params, err := mime.ParseMediaType(header("Content-Type"))
	if err != nil {
		kind = "text/plain"
	}
	if strings.HasPrefix(kind, "multipart/") {
		parts := multipart.NewReader(body, params["boundary"])
		for {
			p, err := parts.NextRawPart()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := m.part(p.Header.Get, p, left); err != nil {
				return err
			}
		}
	}
	switch strings.ToLower(header("Content-Transfer-Encoding")) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	octets, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	text := strings.ReplaceAll(string(octets), "\r\n", "\n")
	switch {
	case kind == "text/html" && m.HTML == "":
		m.HTML = text
	case kind == "text/plain" && m.Text == "":
		m.Text = text
	}
	return nil
}
