package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxBody is how many octets the body of a request may have.
const MaxBody = 4 << 10

// Decode reads a request's body: one JSON object with string members only. required must be
// there, optional may. It returns a problem instead when the body is anything else.
func Decode(w http.ResponseWriter, r *http.Request, required, optional []string) (map[string]string, *Problem) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset, hasCharset := params["charset"]
	if err != nil || kind != "application/json" || (hasCharset && !strings.EqualFold(charset, "utf-8")) {
		return nil, UnsupportedType
	}
	if r.Header.Get("Content-Encoding") != "" {
		return nil, UnsupportedType
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, TooLarge
	case err != nil:
		return nil, Malformed.With("the body could not be read")
	}
	members, err := parseObject(body)
	if err != nil {
		return nil, Malformed.With(err.Error())
	}
	for name := range members {
		if !slices.Contains(required, name) && !slices.Contains(optional, name) {
			return nil, Malformed.With("the object has a member that this call does not know")
		}
	}
	for _, name := range required {
		if _, ok := members[name]; !ok {
			return nil, Malformed.With(fmt.Sprintf("the member %q is missing", name))
		}
	}
	return members, nil
}

// parseObject reads one flat JSON object of strings. Its errors repeat nothing of the body, which
// may hold a code.
func parseObject(body []byte) (map[string]string, error) {
	if !utf8.Valid(body) {
		return nil, errors.New("the body is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("the body is not a JSON object")
	}
	members := map[string]string{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errors.New("the body is not valid JSON")
		}
		if _, twice := members[name]; twice {
			return nil, errors.New("the object has a member twice")
		}
		t, err = d.Token()
		if err != nil {
			return nil, errors.New("the body is not valid JSON")
		}
		if members[name], ok = t.(string); !ok {
			return nil, errors.New("a member is not a string")
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("the body is not valid JSON")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	return members, nil
}
