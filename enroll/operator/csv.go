package operator

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"otpgate/otp"
)

// csvHeader is the first line of an import, as it has to be.
const csvHeader = "name,seed_base32,algorithm,digits,period,label"

// maxLine is how many octets a line may have.
const maxLine = 4 << 10

// row is one line of an import.
type row struct {
	line  int64
	name  string
	fresh otp.NewDevice // without an account
}

// rowReader reads an import line by line, so that a broken line is just that.
type rowReader struct {
	r    *bufio.Reader
	line int64
}

// newRowReader reads the header, which must be the one that is documented.
func newRowReader(r io.Reader) (*rowReader, error) {
	rr := &rowReader{r: bufio.NewReaderSize(r, 64<<10)}
	text, err := rr.next()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if strings.TrimSuffix(strings.TrimPrefix(text, "\ufeff"), "\r") != csvHeader {
		return nil, &Error{"the first line is not " + csvHeader, "add it as the first line, and put the columns in this order"}
	}
	return rr, nil
}

// errLineLong: a line has more than maxLine octets.
var errLineLong = fmt.Errorf("the line is longer than %d octets", maxLine)

// next returns the next line, without its end. After errLineLong the reader is at the next line.
func (r *rowReader) next() (string, error) {
	r.line++
	var b []byte
	long := false
	for {
		piece, err := r.r.ReadSlice('\n')
		if long = long || len(b)+len(piece) > maxLine+1; !long {
			b = append(b, piece...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case long && (err == nil || errors.Is(err, io.EOF)):
			return "", errLineLong
		case errors.Is(err, io.EOF) && len(b) > 0:
			return string(b), nil
		case err != nil:
			return "", err
		}
		return strings.TrimSuffix(string(b), "\n"), nil
	}
}

// read returns the next row, skipping empty lines. A *LineError is about that line only; io.EOF is
// the end.
func (r *rowReader) read() (row, error) {
	for {
		text, err := r.next()
		if errors.Is(err, errLineLong) {
			return row{}, &lineError{r.line, err.Error()}
		}
		if err != nil {
			return row{}, err
		}
		if strings.TrimSpace(text) == "" {
			continue
		}
		parsed, err := parseRow(strings.TrimSuffix(text, "\r"))
		if err != nil {
			return row{}, &lineError{r.line, err.Error()}
		}
		parsed.line = r.line
		return parsed, nil
	}
}

// lineError is what is wrong with one line. It holds nothing of the seed.
type lineError struct {
	line  int64
	cause string
}

// Error implements error.
func (e *lineError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.cause) }

// parseRow reads one line. Empty columns take the configured defaults.
func parseRow(text string) (row, error) {
	if !utf8.ValidString(text) {
		return row{}, errors.New("the line is not UTF-8")
	}
	columns, err := split(text)
	if err != nil {
		return row{}, err
	}
	if len(columns) != 6 {
		return row{}, fmt.Errorf("the line has %d columns, not 6", len(columns))
	}
	for i := range columns {
		columns[i] = strings.TrimSpace(columns[i])
	}
	if columns[0] == "" {
		return row{}, errors.New("the name is empty")
	}
	seed, err := otp.ParseSeed(columns[1])
	if err != nil {
		return row{}, err
	}
	n := otp.NewDevice{Seed: seed, Label: columns[5]}
	switch a := strings.ReplaceAll(strings.ToUpper(columns[2]), "-", ""); a {
	case "", "SHA1", "SHA256", "SHA512":
		n.Algorithm = otp.Algorithm(a)
	default:
		return row{}, errors.New("the algorithm is not SHA1, SHA256 or SHA512")
	}
	if n.Digits, err = number(columns[3], 6, 8); err != nil {
		return row{}, errors.New("the digits are not a number from 6 to 8")
	}
	seconds, err := number(columns[4], 15, 600)
	if err != nil {
		return row{}, errors.New("the period is not a number of seconds from 15 to 600")
	}
	n.Period = time.Duration(seconds) * time.Second
	return row{name: columns[0], fresh: n}, nil
}

// split returns the columns of a line (RFC 4180 section 2, without line breaks in columns).
func split(text string) ([]string, error) {
	if !strings.Contains(text, `"`) {
		return strings.Split(text, ","), nil
	}
	r := csv.NewReader(strings.NewReader(text))
	columns, err := r.Read()
	if err != nil {
		return nil, errors.New("the quotation marks do not match")
	}
	return columns, nil
}

// number reads a number within limits; nothing is 0.
func number(text string, least, most int) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err == nil && (n < least || n > most) {
		err = strconv.ErrRange
	}
	return n, err
}
