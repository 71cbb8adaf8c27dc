package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"otpgate/enroll/browsertest"
)

// verb is one thing that a person, or their phone, does.
type verb struct {
	least int // arguments
	form  string
	do    func(ts *testscript.TestScript, b *browsertest.Browser, args []string) error
}

// browserVerbs are what `browser` knows. An address without a host is one of $SITE, or of the node at
// $ENROLL; a selector is CSS, and means the first such element that can be seen.
func browserVerbs() map[string]verb {
	plain := func(do func(b *browsertest.Browser, args []string) error) func(*testscript.TestScript, *browsertest.Browser, []string) error {
		return func(_ *testscript.TestScript, b *browsertest.Browser, args []string) error { return do(b, args) }
	}
	return map[string]verb{
		"open":     {1, "ADDRESS", openPage},
		"reload":   {0, "", plain(func(b *browsertest.Browser, _ []string) error { return b.Reload() })},
		"reopen":   {1, "EXPRESSION", plain(func(b *browsertest.Browser, a []string) error { return reopen(b, a[0]) })},
		"fill":     {2, "SELECTOR TEXT", plain(func(b *browsertest.Browser, a []string) error { return b.Fill(a[0], a[1]) })},
		"press":    {1, "SELECTOR", plain(func(b *browsertest.Browser, a []string) error { return b.Press(a[0]) })},
		"key":      {1, "KEY...", plain(pressKeys)},
		"see":      {1, "SELECTOR [TEXT]", plain(func(b *browsertest.Browser, a []string) error { return b.See(a[0], strings.Join(a[1:], " ")) })},
		"gone":     {1, "SELECTOR", plain(func(b *browsertest.Browser, a []string) error { return b.Gone(a[0]) })},
		"await":    {1, "EXPRESSION", plain(func(b *browsertest.Browser, a []string) error { return b.Await(a[0]) })},
		"run":      {1, "EXPRESSION", plain(func(b *browsertest.Browser, a []string) error { return b.Run(a[0], nil) })},
		"same":     {2, "EXPRESSION VALUE", plain(func(b *browsertest.Browser, a []string) error { return comesToBe(b, a[0], a[1]) })},
		"read":     {2, "VARIABLE EXPRESSION", readValue},
		"shows":    {1, "SEED [MOMENT]", showsCode},
		"ring":     {1, "PASSED", plain(func(b *browsertest.Browser, a []string) error { return ringIs(b, a[0]) })},
		"clock":    {1, "stop MOMENT | jump DURATION | run", plain(setClock)},
		"phone":    {1, "offline | online | new | slow TIMES | zone NAME | dark | light | still | WIDTH HEIGHT", setPhone},
		"lock":     {1, "prf | plain | refuse | touch | open", setLock},
		"axe":      {0, "", plain(func(b *browsertest.Browser, _ []string) error { return b.Accessible() })},
		"screen":   {1, "NAME", lookAtScreen},
		"register": {2, "ADDRESS LABEL", registerPhone},
		"quick":    {2, "MOST EXPRESSION", isQuick},
		"asked":    {1, "PATTERN", plain(wasAsked)},
	}
}

// cmdBrowser is a person with a phone: a real Chromium, which the first use starts, and which speaks
// $LANGUAGE if that is set. Whatever a page must not do ends the script (see browsertest), as does a step
// that does not come to its end; both tell what is on the page, and where a picture of it is.
//
//	browser VERB [argument...]
//
// @NAME as an argument is what is in that file.
func cmdBrowser(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, "browser VERB [argument...]")
	v, ok := browserVerbs()[args[0]]
	if !ok {
		ts.Fatalf("browser: unknown verb %q", args[0])
	}
	usage(ts, neg, args[1:], v.least, "browser "+args[0]+" "+v.form)
	for i, arg := range args {
		if name, ok := strings.CutPrefix(arg, "@"); ok {
			args[i] = ts.ReadFile(name)
		}
	}
	b := benchOf(ts)
	if b.browser == nil {
		b.browser = browsertest.Start(b.tb(ts), browsertest.Options{Language: ts.Getenv("LANGUAGE"), Patience: patience})
	}
	err := v.do(ts, b.browser, args[1:])
	if faults := b.browser.Faults(); err == nil && len(faults) > 0 {
		err = fmt.Errorf("the page must not do this:\n%s\n%s", strings.Join(faults, "\n"), b.browser.Describe())
	}
	if err != nil {
		ts.Fatalf("browser %s: %v\n%s\n%s", strings.Join(args, " "), err, picture(b.browser), lastLines(ts, 6))
	}
}

// picture keeps what the page looks like, outside of the folder that goes with the test.
func picture(b *browsertest.Browser) string {
	f, err := os.CreateTemp("", "otpgate-browser-*.png")
	if err == nil {
		err = errors.Join(f.Close(), b.Shot(f.Name()))
	}
	if err != nil {
		return fmt.Sprintf("no picture: %v", err)
	}
	return "picture: " + f.Name()
}

func openPage(ts *testscript.TestScript, b *browsertest.Browser, args []string) error {
	address := args[0]
	if strings.HasPrefix(address, "/") {
		site := ts.Getenv("SITE")
		if site == "" {
			site = "http://localhost:" + ts.Getenv("ENROLL")
		}
		address = site + address
	}
	return b.Open(address)
}

// reopen loads the page again, and if need be again, until an expression is true: a version that waits
// takes over at an opening only when the page before it is gone, which takes a busy machine a while.
func reopen(b *browsertest.Browser, expression string) error {
	var err error
	for range 5 {
		if err = b.Reload(); err != nil {
			return err
		}
		if err = b.AwaitFor(patience/6, expression); err == nil {
			return nil
		}
	}
	return err
}

// registerPhone requests a code, follows the link in the mail, registers, and stops at the success.
func registerPhone(ts *testscript.TestScript, b *browsertest.Browser, args []string) error {
	cmdForgetMails(ts, false, nil)
	cmdHTTP(ts, false, []string{"POST", "202", "/v1/enrollments", fmt.Sprintf(`{"email":%q}`, args[0])})
	cmdMail(ts, false, []string{args[0], "/app/#code="})
	link := regexp.MustCompile(`https?://\S+/app/#code=\S+`).FindString(ts.ReadFile("mail.txt"))
	return errors.Join(b.Open(link), b.Fill("#device-input", args[1]), b.Press("#code .primary"), b.See("#done", ""))
}

func pressKeys(b *browsertest.Browser, keys []string) error {
	for _, key := range keys {
		if err := b.Key(key); err != nil {
			return err
		}
	}
	return nil
}

// comesToBe waits until an expression has a value, and says what it was instead.
func comesToBe(b *browsertest.Browser, expression, want string) error {
	err := b.Await(fmt.Sprintf("Promise.resolve(%s).then((is) => String(is) === %q)", expression, want))
	if err == nil {
		return nil
	}
	var got any
	_ = b.Run(expression, &got)
	return fmt.Errorf("%s is %v, want %s: %w", expression, got, want, err)
}

func readValue(ts *testscript.TestScript, b *browsertest.Browser, args []string) error {
	if err := b.Await("(" + args[1] + ") != null"); err != nil {
		return err
	}
	var value any
	err := b.Run(args[1], &value)
	ts.Setenv(args[0], strings.TrimSpace(fmt.Sprint(value)))
	return err
}

// showsCode waits until the code on the screen is the one that oathtool has for a seed, now or at a moment
// (ms since 1970), and sets $CODE to it.
func showsCode(ts *testscript.TestScript, b *browsertest.Browser, args []string) error {
	var want, got string
	if eventually(func() bool {
		at := time.Now()
		if len(args) > 1 {
			ms, err := strconv.ParseInt(args[1], 10, 64)
			ts.Check(err)
			at = time.UnixMilli(ms)
		}
		want = oathtool(ts, args[0], period, at)
		text, _ := b.Text("#digits")
		got = regexp.MustCompile(`\D`).ReplaceAllString(text, "")
		return got == want
	}) {
		ts.Setenv("CODE", want)
		benchOf(ts).secrets = append(benchOf(ts).secrets, want)
		return nil
	}
	return fmt.Errorf("the screen shows %s, oathtool has %s\n%s", got, want, b.Describe())
}

// ringIs waits until so many of the ten segments, clockwise from the top, are grey, and the others blue: by
// the colours that are painted.
func ringIs(b *browsertest.Browser, passed string) error {
	const colours = `[...document.querySelectorAll("#segments path")].map((p) => {
		const [r, g, b] = getComputedStyle(p).stroke.match(/[\d.]+/g).map(Number);
		return b > r + 60 && b > g + 30 ? "blue" : Math.max(r, g, b) - Math.min(r, g, b) < 40 ? "grey" : "rgb " + [r, g, b];
	}).join(" ")`
	n, err := strconv.Atoi(passed)
	if err != nil {
		return err
	}
	want := slices.Concat(slices.Repeat([]string{"grey"}, n), slices.Repeat([]string{"blue"}, 10-n))
	return comesToBe(b, colours, strings.Join(want, " "))
}

// setClock is about the phone's clock: see browsertest. A moment is in ms since 1970, or +DURATION from
// what the clock says.
func setClock(b *browsertest.Browser, args []string) error {
	switch {
	case args[0] == "run":
		return b.RunClock()
	case len(args) < 2:
		return errors.New("clock: stop MOMENT, jump DURATION or run")
	case args[0] == "jump":
		d, err := time.ParseDuration(args[1])
		if err != nil {
			return err
		}
		return b.JumpClock(d)
	case args[0] == "stop" && strings.HasPrefix(args[1], "+"):
		d, err := time.ParseDuration(args[1])
		if err != nil {
			return err
		}
		now, err := b.Now()
		if err != nil {
			return err
		}
		return b.StopClock(now.Add(d))
	case args[0] == "stop":
		ms, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil {
			return err
		}
		return b.StopClock(time.UnixMilli(ms))
	}
	return fmt.Errorf("clock: unknown %q", args[0])
}

func setPhone(ts *testscript.TestScript, b *browsertest.Browser, args []string) error {
	switch {
	case args[0] == "offline":
		return b.Offline(true)
	case args[0] == "online":
		return b.Offline(false)
	case args[0] == "new":
		benchOf(ts).lock = nil
		return b.NewPhone()
	case args[0] == "dark", args[0] == "light":
		return b.Media(map[string]string{"prefers-color-scheme": args[0], "prefers-reduced-motion": "reduce"})
	case args[0] == "still":
		return b.Media(map[string]string{"prefers-reduced-motion": "reduce"})
	case args[0] == "zone" && len(args) == 2:
		return b.Zone(args[1])
	case len(args) == 2:
		first, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		if args[0] == "slow" {
			return b.Slow(float64(first))
		}
		width, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		return b.Viewport(width, first)
	}
	return fmt.Errorf("phone: unknown %q", args[0])
}

// setLock gives the phone a lock of its own instead of any it had, with the PRF extension or without, and
// says who touches it.
func setLock(ts *testscript.TestScript, b *browsertest.Browser, args []string) (err error) {
	bench := benchOf(ts)
	if args[0] == "prf" || args[0] == "plain" {
		if bench.lock != nil {
			err = bench.lock.Remove()
		}
		if err == nil {
			bench.lock, err = b.AddAuthenticator(args[0] == "prf")
		}
		return err
	}
	switch {
	case bench.lock == nil:
		return errors.New("the phone has no lock")
	case args[0] == "refuse":
		return bench.lock.Refuse(true)
	case args[0] == "touch", args[0] == "open":
		return bench.lock.TouchOnly(args[0] == "touch")
	}
	return fmt.Errorf("lock: unknown %q", args[0])
}

// lookAtScreen holds what is on the screen to what holds for every screen: nothing is cut off at 320 px,
// and axe-core finds nothing, light and, in English, dark. With $OTPGATE_SCREENSHOTS it keeps pictures in that folder.
func lookAtScreen(ts *testscript.TestScript, b *browsertest.Browser, args []string) error {
	folder := os.Getenv("OTPGATE_SCREENSHOTS")
	for _, width := range []int{320, 412} {
		if err := b.Viewport(width, 892); err != nil {
			return err
		}
		if err := nothingCutOff(b); err != nil {
			return fmt.Errorf("%s at %d px: %w", args[0], width, err)
		}
		for _, theme := range []string{"light", "dark"} {
			if err := setPhone(ts, b, []string{theme}); err != nil {
				return err
			}
			if width == 412 && (theme == "light" || ts.Getenv("LANGUAGE") == "en") { // words have no colours
				if err := b.Accessible(); err != nil {
					return fmt.Errorf("%s, %s: %w", args[0], theme, err)
				}
			}
			if folder != "" {
				name := fmt.Sprintf("%s-%s-%s-%d.png", args[0], ts.Getenv("LANGUAGE"), theme, width)
				if err := b.Shot(filepath.Join(folder, name)); err != nil {
					return err
				}
			}
		}
	}
	return setPhone(ts, b, []string{"light"})
}

// nothingCutOff finds what is wider than the screen, and texts that do not fit into what holds them.
func nothingCutOff(b *browsertest.Browser) error {
	var found []string
	err := b.Run(`(() => {
		const wide = document.documentElement.clientWidth, found = [];
		if (document.documentElement.scrollWidth > wide) found.push("the page scrolls sideways");
		for (const e of document.querySelectorAll("body *")) {
			if (!e.checkVisibility({ visibilityProperty: true }) || e.closest("svg, [class~=sr]")) continue;
			const r = e.getBoundingClientRect(), style = getComputedStyle(e), name = e.tagName.toLowerCase() + "#" + e.id + "." + e.className;
			if (r.width > 1 && (r.right > wide + 0.5 || r.left < -0.5)) found.push(name + " from " + r.left + " to " + r.right);
			const holds = e.childElementCount === 0 || style.overflowX === "hidden" || style.overflowX === "clip";
			if (holds && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 1 && style.display !== "inline" && !e.matches("input, select") && !["auto", "scroll"].includes(style.overflowX))
				found.push(name + " holds " + e.scrollWidth + " px in " + e.clientWidth);
		}
		return found;
	})()`, &found)
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("cut off:\n%s", strings.Join(found, "\n"))
	}
	return err
}

// isQuick loads the page five times, and wants an expression to be true so soon after the beginning, by the
// median.
func isQuick(ts *testscript.TestScript, b *browsertest.Browser, args []string) error {
	most, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	const times = 5
	var took []time.Duration
	for range times {
		d, err := b.Took(args[1])
		if err != nil {
			return err
		}
		took = append(took, d.Round(time.Millisecond))
	}
	slices.Sort(took)
	ts.Logf("it takes %v", took)
	if median := took[times/2]; median > most {
		return fmt.Errorf("it takes %v, the median of %v, want %s at most", median, took, most)
	}
	return nil
}

// wasAsked looks for a request of the pages so far.
func wasAsked(b *browsertest.Browser, args []string) error {
	re, err := regexp.Compile(args[0])
	if err != nil {
		return err
	}
	asked := b.Asked()
	if !slices.ContainsFunc(asked, re.MatchString) {
		return fmt.Errorf("nothing asked for matches %q:\n%s", args[0], strings.Join(asked, "\n"))
	}
	return nil
}
