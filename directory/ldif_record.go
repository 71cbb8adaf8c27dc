package directory

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A record is one entry of an LDIF file (RFC 2849), with the lines that it came from.
//
// go-ldap/ldif is not used for it: it does not say on which line an attribute stands, tells an
// error by the end of its entry, refuses empty values, and reads any file that the LDIF names.
type record struct {
	line   int
	dn     string
	values []recordValue
}

// A recordValue is one line of it.
type recordValue struct {
	line             int
	attribute, value string
}

// maxLDIFLine is the most octets of a line, a photograph in base64 without line breaks.
const maxLDIFLine = 16 << 20

// A lineError is what is wrong with a line of a file.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return fmt.Sprintf("%d: %v", e.line, e.err) }
func (e *lineError) Unwrap() error { return e.err }

func badLine(line int, format string, args ...any) error {
	return &lineError{line, fmt.Errorf(format, args...)}
}

// readRecords reads content records. Change records, which say what to do to a directory rather
// than what is in it, are an error, as are values to be read from elsewhere.
func readRecords(r io.Reader) ([]record, error) {
	var records []record
	var open *record // the one that lines are added to; nil between records
	scanner := &logicalLines{lines: bufio.NewScanner(r)}
	scanner.lines.Buffer(nil, maxLDIFLine)
	for scanner.next() {
		line, text := scanner.line, scanner.text
		if text == "" {
			open = nil
			continue
		}
		name, value, err := splitLine(text)
		if err != nil {
			return nil, &lineError{line, err}
		}
		switch {
		case open == nil && len(records) == 0 && strings.EqualFold(name, "version"):
			if value != "1" {
				return nil, badLine(line, "LDIF version %q: only 1 is known", value)
			}
		case open == nil && strings.EqualFold(name, "dn"):
			records = append(records, record{line: line, dn: value})
			open = &records[len(records)-1]
		case open == nil:
			return nil, badLine(line, "an entry begins with dn:, not with %s:", name)
		case strings.EqualFold(name, "dn"):
			return nil, badLine(line, "second dn: in an entry; entries are separated by an empty line")
		case strings.EqualFold(name, "changetype"), strings.EqualFold(name, "control"):
			return nil, badLine(line, "%s: this file describes changes, not entries", name)
		default:
			open.values = append(open.values, recordValue{line, name, value})
		}
	}
	if scanner.err != nil {
		return nil, &lineError{scanner.at, scanner.err}
	}
	return records, nil
}

// logicalLines joins lines that were folded, and leaves out comments (RFC 2849 notes 2 and 5).
type logicalLines struct {
	lines   *bufio.Scanner
	at      int    // the physical line that was read last
	pending string // it, when it begins the next logical line
	has     bool
	line    int // where text begins
	text    string
	err     error
}

// next reads one logical line into line and text.
func (l *logicalLines) next() bool {
	for {
		if !l.has && !l.read() {
			return false
		}
		l.has, l.line = false, l.at
		var whole strings.Builder
		whole.WriteString(l.pending)
		for l.read() {
			if !strings.HasPrefix(l.pending, " ") {
				l.has = true
				break
			}
			whole.WriteString(l.pending[1:])
		}
		if l.text = whole.String(); strings.HasPrefix(l.text, " ") {
			l.err, l.at = errors.New("nothing before that this line could continue"), l.line
		}
		if l.err != nil {
			return false
		}
		if !strings.HasPrefix(l.text, "#") {
			return true
		}
	}
}

// read reads one physical line into pending.
func (l *logicalLines) read() bool {
	if !l.lines.Scan() {
		l.err = l.lines.Err()
		return false
	}
	line := l.lines.Bytes()
	if l.at++; l.at == 1 {
		line = bytes.TrimPrefix(line, []byte("\ufeff"))
	}
	l.pending = string(bytes.TrimSuffix(line, []byte("\r")))
	return true
}

// splitLine takes an attribute and its value apart. The errors do not tell the value: it may be a
// password.
func splitLine(text string) (name, value string, err error) {
	name, value, found := strings.Cut(text, ":")
	if !found || name == "" || strings.ContainsAny(name, " \t") {
		return "", "", errors.New("want attribute: value")
	}
	switch {
	case strings.HasPrefix(value, ":"):
		octets, err := base64.StdEncoding.DecodeString(strings.Trim(value[1:], " "))
		if err != nil {
			return "", "", fmt.Errorf("%s:: is not followed by base64", name)
		}
		return name, string(octets), nil
	case strings.HasPrefix(value, "<"):
		return "", "", fmt.Errorf("%s:< asks for another file: write the value here", name)
	}
	return name, strings.TrimLeft(value, " "), nil
}
