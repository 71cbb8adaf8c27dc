package configs

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// A Secret is a password or a key. Whatever prints it prints [redacted].
type Secret string

const redacted = "[redacted]"

// Format implements fmt.Formatter, so that no verb prints anything else: String alone leaves %d.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// String implements fmt.Stringer.
func (Secret) String() string { return redacted }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler, for JSON and YAML.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

const maxSecret = 64 << 10

// placeholder begins what the shipped configurations have where a secret belongs. Everybody knows it, and
// formerExample, which the example and the README had once.
const (
	placeholder   = "change-me"
	formerExample = "correct-horse-battery"
)

// secret returns a secret that is written in the file, in the environment, or in a file of its
// own; "" when it is nowhere, or has a problem.
func (o *object) secret(name string) Secret {
	fromFile := name + "_file"
	if o.has(name) && o.has(fromFile) {
		o.take(name)
		o.take(fromFile)
		o.bad(fromFile, "keep one of the two", "%s is there as well", name)
		return ""
	}
	if o.has(fromFile) {
		o.take(name)
		return o.usable(fromFile, o.secretFile(fromFile))
	}
	o.take(fromFile)
	return o.usable(name, o.secretHere(name))
}

// usable refuses a secret that stands in the shipped files, and one of several lines, which no gateway has: it comes of
// "|" in YAML, or of a variable with the end of its line in it.
func (o *object) usable(name string, s Secret) Secret {
	if strings.ContainsAny(string(s), "\r\n") {
		o.bad(name, "leave one line of it, with the secret and nothing else", "it has more than one line, or the end of one")
		return ""
	}
	if strings.HasPrefix(string(s), placeholder) || s == formerExample {
		o.bad(name, "make one up: head -c 18 /dev/urandom | base64", "it is the placeholder that everybody knows")
		return ""
	}
	return s
}

// secretHere is the secret under a key of the file itself, or in the variable that it names.
func (o *object) secretHere(name string) Secret {
	s := o.text(name, "")
	if o.has(name) && s == "" {
		o.bad(name, "", "it is empty")
	}
	if !strings.HasPrefix(s, "${") || !strings.HasSuffix(s, "}") {
		if s != "" {
			o.keptByFile(name)
		}
		return Secret(s)
	}
	variable := s[2 : len(s)-1]
	v, ok := o.r.lookupEnv(variable)
	if !ok || v == "" {
		o.bad(name, "set it where the service is started", "the environment variable %s is not set", variable)
	}
	return Secret(v)
}

// keptByFile reports, once, that others can read the secrets in the configuration itself.
func (o *object) keptByFile(name string) {
	if o.r.exposed || !Exposed(o.r.mode) {
		return
	}
	o.r.exposed = true
	base := filepath.Base(o.r.file)
	o.bad(name, fmt.Sprintf("chmod 600 %s, or keep secrets in files of their own: %s_file", base, name),
		"others can read or change %s (mode %04o), and a secret is in it", base, o.r.mode.Perm())
}

// secretFile is the secret in a file of its own, up to the end of its only line.
func (o *object) secretFile(name string) Secret {
	path := o.private(name)
	if path == "" {
		return ""
	}
	data, _, err := readBounded(path, maxSecret)
	if err != nil {
		if !os.IsNotExist(err) && o.sound(name) {
			o.bad(name, "", "%s: %v", o.text(name, ""), withoutPath(err))
		}
		return ""
	}
	s := strings.TrimRight(string(data), "\r\n")
	if s == "" {
		o.bad(name, "", "%s is empty", o.text(name, ""))
	}
	return Secret(s)
}
