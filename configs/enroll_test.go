package configs_test

import (
	"slices"
	"strings"
	"testing"

	"otpgate/configs"
)

// enrolling is a configuration whose section enroll has these keys beside those that it must have.
func enrolling(keys string) string {
	if !strings.Contains(keys, "public_url") {
		keys += ", public_url: 'https://otp.example.org'"
	}
	return small + "enroll: {listen: '127.0.0.1:8443', mail: {from: otp@example.org, smtp: 'smtp://mail'}" + keys + "}\n"
}

func TestContactAndLockOfTheApp(t *testing.T) {
	if e := load(t, enrolling("")).Enroll; e.Contact != "" || e.AppLock != "offered" {
		t.Errorf("by default: %+v", e)
	}
	for _, lock := range []string{"off", "offered", "required"} {
		if e := load(t, enrolling(", app_lock: "+lock)).Enroll; e.AppLock != lock {
			t.Errorf("%s: %q", lock, e.AppLock)
		}
	}
}

// What the app may make a link of is one that it can, and everything else is text that says so.
func TestContacts(t *testing.T) {
	for contact, good := range map[string]bool{
		"": true, "mailto:help@example.org": true, "mailto:help@example.org?subject=My%20phone": true, "mailto:h%65lp@example.org": true,
		"https://help.example.org": true, "https://help.example.org/otp?a=b#c": true, "https://[2001:db8::1]:8443/": true,
		"tel:+351-210-000-000": true, "tel:+351210000000": true, "tel:4711": true, "tel:(02)4711.0": true,
		"Help desk, room 7": true, "Help desk: 4711": true, "服務台 (分機 4711)": true, "help@example.org": true, "Ask: https://help.example.org": true,
		strings.Repeat("語", 200): true,

		strings.Repeat("語", 201): false, "mailto:": false, "https:": false, "Help:": false, "mailto:help": false, "mailto:Help <help@example.org>": false,
		"mailto:%zz": false, "mailto:help@example.org?a=%zz": false, "mailto:a@example.org,b@example.org": false, "MAILTO:help@example.org": false,
		"http://help.example.org": false, "https:help": false, "https://": false, "https://me:secret@help.example.org": false, "https://help.example.org/ x": false,
		"javascript:alert(1)": false, "JavaScript:alert(1)": false, "data:text/html,x": false, "ftp://help.example.org": false, "help:4711": false,
		"tel:+351 210": false, "tel:help": false, "tel:+": false, "tel:+351;phone-context=x": false,
		"a\u202eb": false, "a\u0007b": false, "a\u2028b": false, "a\nb": false,
	} {
		quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\u0007", `\a`, "\u2028", `\L`).Replace(contact)
		c, err := configs.Load(write(t, "otpgate.yaml", enrolling(`, contact: "`+quoted+`"`)), noEnv)
		if (err == nil) != good || good && c.Enroll.Contact != contact {
			t.Errorf("%q: %v", contact, err)
		}
		if err != nil && !strings.Contains(err.Error(), ":4:") {
			t.Errorf("%q: not at its line: %v", contact, err)
		}
	}
}

// A page gets cryptography and installation over https, and from the names that every browser knows
// as its own machine's. What nobody should mail at all is a problem, and no warning.
func TestAddressesThatBrowsersDoNotTrustAreWarnedOf(t *testing.T) {
	for address, want := range map[string]string{
		"https://otp.example.org": "", "http://localhost:8080": "", "http://127.0.0.1:8080": "", "http://[::1]:8080": "", "https://127.0.0.2": "",
		"http://127.0.0.2:8080": "warning", "http://[::ffff:127.0.0.1]:8080": "warning",
		"http://otp.example.org": "problem", "http://192.0.2.1": "problem", "http://localhost.example.org": "problem", "ftp://localhost": "problem",
	} {
		c, err := configs.Load(write(t, "otpgate.yaml", enrolling(", public_url: '"+address+"'")), noEnv)
		if (err != nil) != (want == "problem") || err != nil && !strings.Contains(err.Error(), "enroll.public_url") {
			t.Errorf("%s: %v", address, err)
		}
		if err != nil {
			continue
		}
		warnings := c.Warnings()
		if (len(warnings) == 1) != (want == "warning") || len(warnings) > 1 {
			t.Errorf("%s: %v", address, warnings)
		}
		for _, w := range warnings {
			if w.Key != "enroll.public_url" || w.Line != 4 || w.Column < 80 || !strings.Contains(w.Message, address) || w.Hint == "" {
				t.Errorf("%s: %+v", address, w)
			}
		}
	}
}

// The pages are as they were at the start, and the log says which change waits.
func TestEnrollmentIsTakenOverAtARestart(t *testing.T) {
	a := load(t, enrolling(""))
	for name, change := range map[string]func(*configs.Enroll){
		"contact":  func(e *configs.Enroll) { e.Contact = "mailto:help@example.org" },
		"app_lock": func(e *configs.Enroll) { e.AppLock = "required" },
	} {
		b, section := *a, *a.Enroll
		change(&section)
		b.Enroll = &section
		if names := configs.RestartNeeded(a, &b); !slices.Equal(names, []string{"enroll"}) {
			t.Errorf("%s: %v", name, names)
		}
	}
	if names := configs.RestartNeeded(a, a); len(names) != 0 {
		t.Errorf("%v", names)
	}
}
