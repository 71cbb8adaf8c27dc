package audit

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// appendLine appends one event as one line of JSON, whatever its strings hold. It writes what
// [encoding/json] would, to the octet, at a quarter of the cost: there is one for each login.
func appendLine(b []byte, e *Event) []byte {
	timed, err := e.Time.AppendText(append(b, `{"time":"`...))
	if err != nil { // it is outside year 1 to 9999
		e.Time = time.Time{}
		return append(b, `{"kind":"system","action":"unwritable_event"}`+"\n"...)
	}
	b = append(timed, `","kind":`...)
	b = appendText(b, string(e.Kind))
	b = append(b, `,"action":`...)
	b = appendText(b, e.Action)
	for _, f := range [...]struct{ key, text string }{
		{`,"id":`, e.ID}, {`,"account":`, e.Account}, {`,"name":`, e.Name}, {`,"client":`, e.Client}, {`,"source":`, e.Source},
		{`,"device":`, e.Device}, {`,"decision":`, e.Decision}, {`,"reason":`, string(e.Reason)}, {`,"detail":`, e.Detail},
		{`,"actor":`, e.Actor}, {`,"nas":`, e.NAS}, {`,"session":`, e.Session},
	} {
		if f.text != "" {
			b = append(b, f.key...)
			b = appendText(b, f.text)
		}
	}
	if e.Traffic != nil {
		b = append(b, `,"traffic":`...)
		b = e.Traffic.append(b)
	}
	if e.Count != 0 {
		b = append(b, `,"count":`...)
		b = strconv.AppendInt(b, e.Count, 10)
	}
	if e.Stages != nil {
		b = append(b, `,"stages_ms":{"directory":`...)
		b = appendNumber(b, e.Stages.Directory)
		b = append(b, `,"store":`...)
		b = appendNumber(b, e.Stages.Store)
		b = append(b, `,"total":`...)
		b = appendNumber(b, e.Stages.Total)
		b = append(b, '}')
	}
	return append(b, '}', '\n')
}

func (t *Traffic) append(b []byte) []byte {
	begin := len(b)
	b = append(b, '{')
	if t.Address != "" {
		b = append(b, `,"address":`...)
		b = appendText(b, t.Address)
	}
	for _, n := range [...]struct {
		key   string
		value uint64
	}{{`,"seconds":`, uint64(t.Seconds)}, {`,"octets_in":`, t.In}, {`,"octets_out":`, t.Out}} {
		if n.value != 0 {
			b = append(b, n.key...)
			b = strconv.AppendUint(b, n.value, 10)
		}
	}
	if t.Cause != "" {
		b = append(b, `,"cause":`...)
		b = appendText(b, t.Cause)
	}
	if len(b) > begin+1 { // no comma before the first
		b = append(b[:begin+1], b[begin+2:]...)
	}
	return append(b, '}')
}

// appendText appends a text that may be of any length and hold anything.
func appendText(b []byte, s string) []byte { return appendString(b, bounded(s)) }

// appendString appends a string of JSON. What is not plain the library escapes: control characters, and
// invalid UTF-8 as U+FFFD.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // no string fails
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// appendNumber appends a number of JSON: a time in milliseconds, for which no exponent is needed.
func appendNumber(b []byte, f float64) []byte {
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || !(abs < 1e21)) {
		return append(b, '0') // nor was it ever so long
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}

// maxText is how many octets of a text are kept: what arrives in a packet is never longer.
const maxText = 512

func bounded(s string) string {
	if len(s) <= maxText {
		return s
	}
	cut := maxText
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
