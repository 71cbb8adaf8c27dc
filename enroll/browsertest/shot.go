package browsertest

import (
	"os"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Shot writes a picture of the whole page, as long as it is, into a PNG file.
func (b *Browser) Shot(path string) error {
	ctx, cancel := b.bounded()
	defer cancel()
	beyond := true
	shot, err := chromedp.Call(ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: &beyond})
	if err != nil {
		return err
	}
	return os.WriteFile(path, shot.Data, 0o600)
}
