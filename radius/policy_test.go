package radius

import (
	"sync"
	"testing"

	"otpgate/radius/dictionary"
	"otpgate/radius/reply"
)

var builtIn = sync.OnceValues(func() (*dictionary.Dictionary, error) { return dictionary.New() })

// replyOf compiles rules.
func replyOf(t testing.TB, rules ...reply.Rule) *reply.Reply {
	t.Helper()
	d, err := builtIn()
	if err != nil {
		t.Fatal(err)
	}
	r, problems := reply.Compile(reply.Options{Dictionary: d, Rules: rules})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return r
}
