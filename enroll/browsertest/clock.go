package browsertest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

//go:embed before.js
var before string

// setting is what the phone's clock was set to.
type setting struct {
	Ahead float64  `json:"ahead"` // of the real time, in ms
	Still *float64 `json:"still"` // the moment at which it stands still, less Ahead; nil: it runs
}

// register has every page from now on begin with the clock as it is.
func (b *Browser) register() error {
	clock, err := json.Marshal(b.clock)
	if err != nil {
		return err
	}
	ctx, cancel := b.bounded()
	defer cancel()
	if b.script != "" {
		if _, err := chromedp.Call(ctx, page.RemoveScriptToEvaluateOnNewDocument,
			page.RemoveScriptToEvaluateOnNewDocumentParams{Identifier: b.script}); err != nil {
			return err
		}
	}
	all := true // on the page that is there too, on which it does nothing the second time
	added, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: fmt.Sprintf("(%s)(%s);", before, clock), RunImmediately: &all,
	})
	b.script = added.Identifier
	return err
}

func (b *Browser) set(expression string) error {
	if err := b.Run(expression, &b.clock); err != nil {
		return err
	}
	return b.register()
}

// StopClock stops the phone's clock at a moment. What lies between passes at once: for the page time goes
// on, as it does for a phone that was in a pocket. Timers still run, in real time.
func (b *Browser) StopClock(at time.Time) error {
	return b.set(fmt.Sprintf("__test.at(%d)", at.UnixMilli()))
}

// JumpClock changes what the phone's clock says, as a person does in the settings: no time passes.
func (b *Browser) JumpClock(d time.Duration) error {
	return b.set(fmt.Sprintf("__test.jump(%d)", d.Milliseconds()))
}

// RunClock lets time pass by itself again.
func (b *Browser) RunClock() error { return b.set("__test.go()") }

// Now is what the phone's clock says.
func (b *Browser) Now() (time.Time, error) {
	var ms int64
	err := b.Run("Date.now()", &ms)
	return time.UnixMilli(ms), err
}

// Took loads the page again and says how long it took, from the beginning of the navigation, until an
// expression was true.
func (b *Browser) Took(expression string) (time.Duration, error) {
	source := fmt.Sprintf(`(() => {
		const look = () => {
			let yes = false;
			try { yes = %s; } catch { /* not yet */ }
			if (yes) __test.took = __test.realNow();
			else requestAnimationFrame(look);
		};
		requestAnimationFrame(look);
	})()`, expression)
	ctx, cancel := b.bounded()
	defer cancel()
	added, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: source})
	if err != nil {
		return 0, err
	}
	defer func() {
		_, _ = chromedp.Call(b.ctx, page.RemoveScriptToEvaluateOnNewDocument, page.RemoveScriptToEvaluateOnNewDocumentParams(added))
	}()
	if err := b.Reload(); err != nil {
		return 0, err
	}
	if err := b.Await("__test.took > 0"); err != nil {
		return 0, err
	}
	var ms float64
	err = b.Run("__test.took", &ms)
	return time.Duration(ms * float64(time.Millisecond)), err
}
