package enroll_test

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"otpgate/enroll"
	"otpgate/enroll/catalogue"
)

// settings is what a phone reads, as another program would write it down.
type settings struct {
	Issuer    string `json:"issuer"`
	Contact   string `json:"contact"`
	AppLock   string `json:"app_lock"`
	Languages []struct {
		Tag  string `json:"tag"`
		Name string `json:"name"`
	} `json:"languages"`
	DevicesURL string `json:"devices_url"`
}

func TestSettingsOfTheApp(t *testing.T) {
	for name, c := range map[string]struct {
		change                func(*world, *enroll.Options)
		contact, lock, devURL string
	}{
		"by default": {nil, "", "offered", "https://otp.example.org/devices"},
		"set": {func(_ *world, o *enroll.Options) {
			o.Contact, o.AppLock, o.PublicURL = `Help "desk" <4711> & more`, enroll.LockRequired, "https://otp.example.org:8443/"
		}, `Help "desk" <4711> & more`, "required", "https://otp.example.org:8443/devices"},
		"off": {func(_ *world, o *enroll.Options) {
			o.Contact, o.AppLock = "https://help.example.org/?a=b&c=d", enroll.LockOff
		}, "https://help.example.org/?a=b&c=d", "off", "https://otp.example.org/devices"},
	} {
		w := start(t, c.change)
		res := w.do(http.MethodGet, "/app/settings.json", "")
		d := json.NewDecoder(strings.NewReader(read(t, res)))
		d.DisallowUnknownFields()
		var got settings
		if err := d.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if got.Issuer != "Example" || got.Contact != c.contact || got.AppLock != c.lock || got.DevicesURL != c.devURL {
			t.Errorf("%s: %+v", name, got)
		}
		if res.Header.Get("Content-Type") != "application/json" || res.Header.Get("Cache-Control") != "no-cache" || res.Header.Get("Vary") != "" {
			t.Errorf("%s: %v", name, res.Header)
		}
		tag := res.Header.Get("ETag")
		again := w.do(http.MethodGet, "/app/settings.json", "", "If-None-Match", tag)
		if body := read(t, again); tag == "" || again.StatusCode != http.StatusNotModified || body != "" || again.Header.Get("ETag") != tag {
			t.Errorf("%s: asked again with %q: %d %q", name, tag, again.StatusCode, body)
		}
		if other := w.do(http.MethodGet, "/app/settings.json", "", "If-None-Match", `"other"`, "Accept-Language", "pt"); other.StatusCode != http.StatusOK || other.Header.Get("ETag") != tag {
			t.Errorf("%s: another tag, another language: %d, %q", name, other.StatusCode, other.Header.Get("ETag"))
		}
		if head := w.do(http.MethodHead, "/app/settings.json", ""); read(t, head) != "" || head.Header.Get("ETag") != tag || head.Header.Get("Content-Length") == "" {
			t.Errorf("%s: HEAD: %v", name, head.Header)
		}
		if posted := w.do(http.MethodPost, "/app/settings.json", "{}"); posted.StatusCode != http.StatusMethodNotAllowed || posted.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: POST: %d", name, posted.StatusCode)
		}
	}
}

// Each language is offered under the name that its readers know.
func TestSettingsNameEveryLanguage(t *testing.T) {
	texts, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	var got settings
	if err := json.Unmarshal([]byte(read(t, start(t, nil).do(http.MethodGet, "/app/settings.json", ""))), &got); err != nil {
		t.Fatal(err)
	}
	var tags []string
	names := map[string]bool{}
	for _, l := range got.Languages {
		tags = append(tags, l.Tag)
		names[l.Name] = true
		if l.Name == l.Tag || l.Name == "" {
			t.Errorf("%s has no name", l.Tag)
		}
	}
	if !reflect.DeepEqual(tags, texts.Languages()) || len(names) != len(tags) {
		t.Errorf("%+v, and there are %v", got.Languages, texts.Languages())
	}
}

// What the app would make a link of is one of three kinds, whoever fills in the options.
func TestContactAndLockAreChecked(t *testing.T) {
	var good enroll.Options
	start(t, func(_ *world, o *enroll.Options) { good = *o })
	good.Registerer = nil
	for name, c := range map[string]struct {
		contact string
		lock    enroll.AppLock
		ok      bool
	}{
		"text":                 {contact: "Help desk: 4711", ok: true},
		"mail":                 {contact: "mailto:help@example.org", ok: true},
		"long":                 {contact: strings.Repeat("語", 200), ok: true},
		"script":               {contact: "javascript:alert(1)"},
		"script in capitals":   {contact: "JAVASCRIPT:alert(1)"},
		"plain HTTP":           {contact: "http://help.example.org"},
		"too long":             {contact: strings.Repeat("語", 201)},
		"two lines":            {contact: "a\nb"},
		"right to left":        {contact: "a\u202eb"},
		"not UTF-8":            {contact: "a\xff"},
		"no such lock":         {lock: 3},
		"no such lock, either": {lock: -1},
	} {
		o := good
		o.Contact, o.AppLock = c.contact, c.lock
		s, err := enroll.New(o)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			_ = s.Shutdown(context.Background())
		}
	}
	for lock, want := range map[enroll.AppLock]string{enroll.LockOffered: "offered", enroll.LockOff: "off", enroll.LockRequired: "required", 7: "unknown"} {
		if lock.String() != want {
			t.Errorf("%d: %s", lock, lock)
		}
	}
	if good.AppLock != enroll.LockOffered {
		t.Error("the lock is not offered by default")
	}
}
