package browsertest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// Options say what kind of phone it is. The zero value is a middling one that speaks English.
type Options struct {
	// Width and Height are the viewport in CSS pixels; 0: 412 x 892.
	Width, Height int
	// Language is what the browser asks for, as in Accept-Language; "": en.
	Language string
	// Patience is how long a step may take; 0: 30 s.
	Patience time.Duration
}

// A Browser is a running Chromium with one page. Its methods are for one goroutine.
type Browser struct {
	o        Options
	ctx      context.Context // of the page
	root     context.Context // of the first page, and of the process
	end      func()          // of the page, if it is not the first
	userData string
	agent    string // what it calls itself

	mu      sync.Mutex
	faults  []string
	excused []string        // errors that are none of the page's
	hosts   map[string]bool // that pages were opened at
	asked   []string        // the requests that the page made: method and address
	offline bool            // the network was taken away, at least for a time

	clock  setting
	script page.ScriptIdentifier // that each page begins with
}

// Start starts a browser, which ends with the test.
func Start(t testing.TB, o Options) *Browser {
	t.Helper()
	b, err := start(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func start(t testing.TB, o Options) (*Browser, error) {
	program, err := exec.LookPath("chromium")
	if err != nil {
		return nil, fmt.Errorf("chromium is missing: apt-get install chromium: %w", err)
	}
	o = defaults(o)
	b := &Browser{o: o, hosts: map[string]bool{}, userData: t.TempDir()}
	if err := b.prefer(); err != nil {
		return nil, err
	}
	ctx, stop := chromedp.NewExecAllocator(context.Background(), b.flags(program)...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b.ctx, b.root = ctx, ctx
	// The first call starts it, and binds its life to the context: it has no deadline of its own. One that
	// does not come up is ended.
	late := time.AfterFunc(2*o.Patience, cancel)
	defer late.Stop()
	if err := chromedp.Listen(ctx, b.notice); err != nil {
		return nil, fmt.Errorf("chromium does not start: %w", err)
	}
	return b, b.prepare()
}

// NewPhone makes it another phone: a profile with nothing in it, and the clock, the network and the lock as
// they were before anybody touched them.
func (b *Browser) NewPhone() error {
	if err := b.leave(); err != nil {
		return err
	}
	if b.end != nil {
		b.end()
	}
	b.ctx, b.end = chromedp.NewContext(b.root, chromedp.WithNewBrowserContext())
	b.clock, b.script = setting{}, ""
	if err := chromedp.Listen(b.ctx, b.notice); err != nil {
		return fmt.Errorf("another phone: %w", err)
	}
	return b.prepare()
}

func defaults(o Options) Options {
	if o.Width == 0 {
		o.Width = 412
	}
	if o.Height == 0 {
		o.Height = 892
	}
	if o.Language == "" {
		o.Language = "en"
	}
	if o.Patience == 0 {
		o.Patience = 30 * time.Second
	}
	return o
}

// prefer writes the settings that a person would have made.
func (b *Browser) prefer() error {
	settings, err := json.Marshal(map[string]any{"intl": map[string]string{
		"accept_languages": b.o.Language, "selected_languages": b.o.Language,
	}})
	if err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(b.userData, "Default"), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.userData, "Default", "Preferences"), settings, 0o600)
}

// flags are what it is started with. Names that end in .test are this machine, all others are nobody: a
// page that asks somebody else gets no answer, and the browser itself asks nobody either.
func (b *Browser) flags(program string) []chromedp.ExecAllocatorOption {
	return append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program),
		chromedp.UserDataDir(b.userData),
		chromedp.NoSandbox, // which root cannot have
		chromedp.DisableGPU,
		chromedp.WindowSize(b.o.Width, b.o.Height),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("accept-lang", b.o.Language),
		chromedp.Flag("host-resolver-rules", "MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"),
	)
}

// prepare makes the page a phone's.
func (b *Browser) prepare() error {
	if _, err := chromedp.Call(b.ctx, audits.Enable, cdp.Empty{}); err != nil {
		return fmt.Errorf("chromium: %w", err)
	}
	// Attached to workers, too, the browser now and then answers nothing any more when one takes over from
	// another.
	flatten := true
	if _, err := chromedp.Call(b.ctx, target.SetAutoAttach, target.SetAutoAttachParams{Flatten: &flatten}); err != nil {
		return fmt.Errorf("chromium: %w", err)
	}
	if err := b.register(); err != nil {
		return fmt.Errorf("chromium: %w", err)
	}
	if err := b.Run("navigator.userAgent", &b.agent); err != nil {
		return err
	}
	return b.Viewport(b.o.Width, b.o.Height)
}

// bounded is a context for one step.
func (b *Browser) bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(b.ctx, b.o.Patience)
}
