package outbox

import "testing"

// FuzzMail: whatever is handed in is read, and has no more text than octets.
func FuzzMail(f *testing.F) {
	f.Add([]byte("Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\nhello\r\n"))
	both := []byte("Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\nPGI+\r\n--x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3Db=\r\nc\r\n--x--\r\n")
	m := &Mail{Raw: both}
	if m.parse(); m.Text != "a=bc" || m.HTML != "<b>" || m.Err != nil {
		f.Fatalf("%+v", m)
	}
	f.Add(both)
	f.Add([]byte("Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n"))
	f.Add([]byte(":"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := &Mail{Raw: raw}
		m.parse()
		if len(m.Text)+len(m.HTML) > len(raw) {
			t.Fatalf("%d octets of text in a mail of %d: %q", len(m.Text)+len(m.HTML), len(raw), raw)
		}
	})
}
