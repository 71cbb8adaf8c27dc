package browsertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Open goes to an address and waits until the page has loaded. One that differs from the last only behind
// the "#" is loaded all the same, as from a link in a mail.
func (b *Browser) Open(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.hosts[u.Host] = true
	b.mu.Unlock()
	if err := b.leave(); err != nil {
		return err
	}
	if err := b.visit(address); err != nil {
		return err
	}
	return b.Await(fmt.Sprintf("document.readyState === 'complete' && location.host === %s", quote(u.Host)))
}

// leave goes away from whatever page there is.
func (b *Browser) leave() error {
	if err := b.visit("about:blank"); err != nil {
		return err
	}
	return b.Await("location.href === 'about:blank'")
}

// visit begins to load a page. That another load takes its place is no error: pages may load themselves again.
func (b *Browser) visit(address string) error {
	ctx, cancel := b.bounded()
	defer cancel()
	went, err := chromedp.Call(ctx, page.Navigate, page.NavigateParams{URL: address})
	if err == nil && went.ErrorText != "" && went.ErrorText != "net::ERR_ABORTED" {
		err = errors.New(went.ErrorText)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w\n%s", address, err, b.Describe())
	}
	return nil
}

// Reload loads the page again, and waits until it has loaded.
func (b *Browser) Reload() error {
	if err := b.Run("__test.old = true, setTimeout(() => location.reload()), null", nil); err != nil {
		return err
	}
	return b.Await("!__test.old && document.readyState === 'complete' && location.host !== ''")
}

// Run has the page compute an expression, waits for it if it is a promise, and puts what comes out, as
// JSON, into what into points to; nil: it does not matter.
func (b *Browser) Run(expression string, into any) error {
	ctx, cancel := b.bounded()
	defer cancel()
	return run(ctx, expression, into)
}

func run(ctx context.Context, expression string, into any) error {
	// Octets: whatever it is, null and undefined too.
	value, err := chromedp.Run(ctx, chromedp.Evaluate[[]byte](expression, chromedp.EvalAwaitPromise, asPerson))
	if err != nil {
		return err
	}
	if into == nil {
		return nil
	}
	if len(value) == 0 {
		return fmt.Errorf("%s: undefined", expression)
	}
	if err := json.Unmarshal(value, into); err != nil {
		return fmt.Errorf("%s: %s: %w", expression, value, err)
	}
	return nil
}

// Await waits until an expression is true. An expression that fails is not true yet.
func (b *Browser) Await(expression string) error { return b.AwaitFor(b.o.Patience, expression) }

// AwaitFor is Await with a patience of its own.
func (b *Browser) AwaitFor(patience time.Duration, expression string) error {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		var yes bool
		// A question to a page that is just going may never be answered: it is asked again.
		once, cancel := context.WithTimeout(ctx, 3*time.Second)
		err := run(once, "Promise.resolve("+expression+").then(Boolean)", &yes)
		cancel()
		if err == nil && yes {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("it does not come to be: %s\n%s", expression, b.Describe()), last)
		case <-tick.C:
		}
	}
}

// See waits until an element can be seen and holds a text (which may be empty).
func (b *Browser) See(selector, text string) error {
	return b.Await(fmt.Sprintf("__test.sees(%s, %s)", quote(selector), quote(text)))
}

// Gone waits until nobody sees the element any more.
func (b *Browser) Gone(selector string) error {
	return b.Await(fmt.Sprintf("!__test.sees(%s, '')", quote(selector)))
}

// Press waits until an element can be pressed, and nothing is in front of it, and presses it with a
// finger's event. If the page puts another in its place meanwhile, so that nothing was pressed, it presses
// that, as a person would.
func (b *Browser) Press(selector string) error {
	for range 5 {
		at, err := b.reach(selector)
		if err != nil {
			return err
		}
		ctx, cancel := b.bounded()
		err = chromedp.Do(ctx, chromedp.MouseClickXY(at.X, at.Y))
		cancel()
		if err != nil {
			return err
		}
		var missed bool
		if err := b.Run("__test.missed()", &missed); err != nil || !missed {
			return nil //nolint:nilerr // a page that has gone was pressed
		}
	}
	return fmt.Errorf("%s does not take a press\n%s", selector, b.Describe())
}

type point struct{ X, Y float64 }

func (b *Browser) reach(selector string) (at point, err error) {
	if err := b.Await(fmt.Sprintf("__test.reach(%s)", quote(selector))); err != nil {
		return at, err
	}
	err = b.Run(fmt.Sprintf("__test.reach(%s)", quote(selector)), &at)
	return at, err
}

// Fill writes a text into a field instead of what is there, as a keyboard or a paste does. Of a select it
// chooses the option with this value.
func (b *Browser) Fill(selector, text string) error {
	if _, err := b.reach(selector); err != nil {
		return err
	}
	var chosen bool
	if err := b.Run(fmt.Sprintf("__test.choose(%s, %s)", quote(selector), quote(text)), &chosen); err != nil {
		return err
	}
	if chosen {
		return nil
	}
	ctx, cancel := b.bounded()
	defer cancel()
	if text == "" {
		return chromedp.Do(ctx, chromedp.KeyEvent(kb.Backspace))
	}
	_, err := chromedp.Call(ctx, input.InsertText, input.InsertTextParams{Text: text})
	return err
}

// Key presses a key: a character, or Tab, Enter, Escape, Space.
func (b *Browser) Key(name string) error {
	keys := map[string]string{"Tab": kb.Tab, "Enter": kb.Enter, "Escape": kb.Escape, "Space": " "}
	key, ok := keys[name]
	if !ok {
		key = name
	}
	ctx, cancel := b.bounded()
	defer cancel()
	return chromedp.Do(ctx, chromedp.KeyEvent(key))
}

// Text is what an element says, or what is in a field.
func (b *Browser) Text(selector string) (text string, err error) {
	err = b.Run(fmt.Sprintf("__test.text(%s)", quote(selector)), &text)
	return strings.TrimSpace(text), err
}

// Describe says where the browser is, what can be read there, and its faults so far: for a test that
// failed.
func (b *Browser) Describe() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	var text string
	if err := run(ctx, "location.href + '\\n' + (document.body ? document.body.innerText : '')", &text); err != nil {
		text = err.Error()
	}
	return fmt.Sprintf("on the page: %s\nfaults: %s\nexcused: %s", text, strings.Join(b.Faults(), "\n        "), b.lastExcused())
}

// quote makes a text a JavaScript string: JSON is one.
func quote(text string) string {
	octets, _ := json.Marshal(text)
	return string(octets)
}
