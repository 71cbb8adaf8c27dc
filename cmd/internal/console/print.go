package console

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// PrintJSON prints v for scripts, indented for whoever looks at it all the same.
func PrintJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Table prints rows in columns: write separates them by tabs.
func Table(w io.Writer, write func(w io.Writer)) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	write(t)
	return t.Flush()
}

// Quoted keeps a value that came from outside in one piece, and from doing anything to a terminal.
func Quoted(s string) string {
	if q := fmt.Sprintf("%q", s); strings.ContainsAny(s, " =") || q != `"`+s+`"` {
		return q
	}
	return s
}

// Printable keeps a text that came from outside from doing anything to a terminal.
func Printable(s string) string {
	q := fmt.Sprintf("%q", s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

// Lines is [Printable] for a text of several lines, as of errors that were joined: the line breaks stay. So do
// backslashes, because much of such a text is quoted already.
func Lines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = strings.ReplaceAll(Printable(line), `\\`, `\`)
	}
	return strings.Join(lines, "\n")
}
