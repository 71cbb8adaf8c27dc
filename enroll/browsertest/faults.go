package browsertest

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
)

// notice is called with each event of the page, in their order. It must not call the browser.
func (b *Browser) notice(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if o := e.ExceptionDetails.Exception; o != nil {
			text += " " + o.Description
		}
		b.fault("nobody catches: %s (%s:%d)", text, e.ExceptionDetails.URL, e.ExceptionDetails.LineNumber+1)
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "assert" {
			var text []string
			for _, arg := range e.Args {
				text = append(text, string(arg.Value)+arg.Description)
			}
			b.fault("console.%s: %s", e.Type, strings.Join(text, " "))
		}
	case *log.EventEntryAdded:
		switch {
		case e.Entry.Level != log.EntryLevelError:
		case b.expected(e.Entry):
			b.excused = append(b.excused, fmt.Sprintf("%s (%s)", e.Entry.Text, e.Entry.URL))
		default:
			b.fault("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *audits.EventIssueAdded:
		if d := e.Issue.Details.ContentSecurityPolicyIssueDetails; d != nil {
			b.fault("against the policy: %s %s %s", d.ViolatedDirective, d.ContentSecurityPolicyViolationType, d.BlockedURL)
		}
	case *network.EventRequestWillBeSent:
		b.request(e.Request)
	}
}

// request notes who is asked for what.
func (b *Browser) request(r *network.Request) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Host == "" { // data:, blob:, about:
		return
	}
	b.asked = append(b.asked, r.Method+" "+r.URL)
	if !b.hosts[u.Host] {
		b.fault("asks another host: %s %s", r.Method, r.URL)
	}
}

// expected reports whether an entry is about a server that refuses, or that is away, or about plain http.
func (b *Browser) expected(e *log.Entry) bool {
	const (
		refused = "Failed to load resource: the server responded with a status of "
		plain   = "The Cross-Origin-Opener-Policy header has been ignored, because the URL's origin was untrustworthy."
	)
	if strings.HasPrefix(e.Text, plain) {
		return true
	}
	if e.Source != log.EntrySourceNetwork {
		return false
	}
	if status, ok := strings.CutPrefix(e.Text, refused); ok {
		return !strings.HasPrefix(status, "404") && strings.Contains(e.URL, "/v1/")
	}
	return b.offline && strings.HasPrefix(e.Text, "Failed to load resource: net::ERR_")
}

func (b *Browser) fault(format string, args ...any) {
	b.faults = append(b.faults, fmt.Sprintf(format, args...))
}

// Faults are what the pages did so far that none may do.
func (b *Browser) Faults() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.faults)
}

// lastExcused are the last errors that were none of the page's, for a test that failed.
func (b *Browser) lastExcused() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.excused[max(0, len(b.excused)-6):], "\n        ")
}

// ServerAway says that the server may be gone from now on: what then does not load is no fault.
func (b *Browser) ServerAway() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.offline = true
}

// Asked are the requests of the pages so far: method and address.
func (b *Browser) Asked() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.asked)
}
