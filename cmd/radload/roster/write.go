package roster

import (
	"bufio"
	"encoding/base32"
	"fmt"
	"io"
)

// WriteCSV writes the file that otpgate device import takes, and [Read].
func (r *Roster) WriteCSV(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintln(b, header)
	for i, d := range r.devices {
		fmt.Fprintf(b, "%s,%s,%s,%d,%d,radload\n", r.Name(i), r.base32(i), d.algorithm, d.digits, d.period)
	}
	return b.Flush()
}

// WriteFreeRADIUS writes FreeRADIUS's file of users, for rlm_files and rlm_totp.
func (r *Roster) WriteFreeRADIUS(w io.Writer) error {
	b := bufio.NewWriter(w)
	for i := range r.devices {
		fmt.Fprintf(b, "%s\tTOTP-Secret := \"%s\"\n", r.Name(i), r.base32(i))
	}
	return b.Flush()
}

// WriteLDIF writes the accounts as entries of a directory (RFC 2849) right below base, which they
// begin with. Names that [Derive] makes need no escapes. seed names an attribute that holds the seed, for servers that
// read it there; empty: none does.
func (r *Roster) WriteLDIF(w io.Writer, base, seed string) error {
	b := bufio.NewWriter(w)
	for i := range r.devices {
		name := r.Name(i)
		fmt.Fprintf(b, "dn: uid=%s,%s\nobjectClass: inetOrgPerson\nuid: %[1]s\ncn: %[1]s\nsn: %[1]s\nmail: %[1]s@example.org\n", name, base)
		if password := r.Password(nil, i); len(password) > 0 {
			fmt.Fprintf(b, "userPassword: %s\n", password)
		}
		if seed != "" {
			fmt.Fprintf(b, "%s: %s\n", seed, r.base32(i))
		}
		fmt.Fprintln(b)
	}
	return b.Flush()
}

func (r *Roster) base32(i int) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(r.seed(i))
}
