package configs

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// readBounded reads a file that must not be larger than limit, and tells who may do so.
func readBounded(path string, limit int64) ([]byte, os.FileMode, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, 0, err
	case !info.Mode().IsRegular():
		return nil, 0, errors.New("it is not a file")
	case info.Size() > limit:
		return nil, 0, fmt.Errorf("it is larger than %d octets", limit)
	}
	data, err := os.ReadFile(path)
	return data, info.Mode(), err
}

// withoutPath is what an error of a file system call says beside the path.
func withoutPath(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// path is a path of the file, which is relative to the file itself.
func (r *reader) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(r.dir, p)
}

// existing returns the path of a file that must be there; "" when the key is not.
func (o *object) existing(name string) string {
	s := o.text(name, "")
	if s == "" {
		if o.has(name) && o.sound(name) {
			o.bad(name, "name a file, or leave the key out", "it is empty")
		}
		return ""
	}
	path := o.r.path(s)
	if info, err := os.Stat(path); err != nil {
		o.bad(name, "paths are relative to the configuration file", "%s: %v", s, withoutPath(err))
	} else if info.IsDir() {
		o.bad(name, "", "%s is a folder", s)
	}
	return path
}

// authorities is existing for a file with certificates that vouch for others.
func (o *object) authorities(name string) string {
	path := o.existing(name)
	if path == "" || !o.sound(name) {
		return path
	}
	const form = "certificates in PEM: -----BEGIN CERTIFICATE-----"
	data, _, err := readBounded(path, maxFile)
	if err != nil {
		o.bad(name, form, "%s: %v", o.text(name, ""), withoutPath(err))
	} else if !x509.NewCertPool().AppendCertsFromPEM(data) {
		o.bad(name, form, "%s holds no certificate", o.text(name, ""))
	}
	return path
}

// clientAuthorities is existing for a file with those who vouch for clients.
func (o *object) clientAuthorities(name string) string {
	path := o.existing(name)
	if path == "" || !o.sound(name) {
		return path
	}
	data, _, err := readBounded(path, maxFile)
	if err == nil {
		_, err = ClientAuthorities(data)
	}
	if err != nil {
		o.bad(name, "certificates in PEM, and nothing else: -----BEGIN CERTIFICATE-----", "%s: %v", o.text(name, ""), withoutPath(err))
	}
	return path
}

// ClientAuthorities reads all certificates of a PEM text. It is stricter than a pool, which passes over
// what it does not understand: half of a file must not quietly lock out the clients of the other half.
func ClientAuthorities(text []byte) (*x509.CertPool, error) {
	pool, count := x509.NewCertPool(), 0
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("it holds a %s where only certificates belong", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", count+1, err)
		}
		pool.AddCert(c)
		count++
	}
	switch {
	case bytes.Contains(text, []byte("-----BEGIN")):
		return nil, fmt.Errorf("certificate %d is not complete", count+1)
	case count == 0:
		return nil, errors.New("it holds no certificate")
	}
	return pool, nil
}

// identity returns the paths of a certificate and of its key, which belong together; both "" when
// neither key is there.
func (o *object) identity(certificate, key string) (certificateFile, keyFile string) {
	certificateFile, keyFile = o.existing(certificate), o.private(key)
	switch {
	case !o.sound(certificate) || !o.sound(key):
	case certificateFile != "" && keyFile == "":
		o.bad(certificate, "give "+key+" too", "it has no key")
	case keyFile != "" && certificateFile == "":
		o.bad(key, "give "+certificate+" too", "it has no certificate")
	case keyFile != "":
		if _, err := tls.LoadX509KeyPair(certificateFile, keyFile); err != nil {
			o.bad(certificate, "a certificate and its key, both in PEM", "%s and %s: %v", o.text(certificate, ""), o.text(key, ""), withoutPath(err))
		}
	}
	return certificateFile, keyFile
}

// private is existing for a file that nobody reads but its owner and group, as in root:otpgate 0640.
func (o *object) private(name string) string {
	path := o.existing(name)
	if info, err := os.Stat(path); path != "" && err == nil && Exposed(info.Mode()) {
		o.isOpen(name, info.Mode(), "")
	}
	return path
}

// people is existing for an LDIF file, which is private if a password is in it.
func (o *object) people(name string) string {
	path := o.existing(name)
	if info, err := os.Stat(path); path != "" && err == nil && Exposed(info.Mode()) && holdsPassword(path) {
		o.isOpen(name, info.Mode(), ", and a userPassword is in it")
	}
	return path
}

// isOpen reports that others can read or change the file that a key names.
func (o *object) isOpen(name string, mode os.FileMode, why string) {
	o.bad(name, "chmod 600 "+o.text(name, ""), "others can read or change %s (mode %04o)%s", o.text(name, ""), mode.Perm(), why)
}

// Exposed reports whether more than owner and group can read a file, or more than its owner can
// change it.
func Exposed(m os.FileMode) bool { return m.Perm()&0o027 != 0 }

// holdsPassword reports whether an LDIF file has a userPassword (RFC 2849), hashed or not, with options or
// without. A file that cannot be read has none: whoever reads it for its entries tells.
func holdsPassword(path string) bool {
	const attribute, longest = "userPassword", 16 << 20 // octets of a line, as of whoever reads the entries
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, longest)
	var begins []byte // of a line that may go on after a blank
	for lines.Scan() {
		more, goesOn := bytes.CutPrefix(bytes.TrimSuffix(lines.Bytes(), []byte("\r")), []byte(" "))
		if !goesOn {
			begins = begins[:0]
		}
		begins = append(begins, more[:min(len(more), len(attribute)+1)]...)
		if n := len(attribute); len(begins) > n && strings.EqualFold(string(begins[:n]), attribute) && (begins[n] == ':' || begins[n] == ';') {
			return true
		}
	}
	return false
}
