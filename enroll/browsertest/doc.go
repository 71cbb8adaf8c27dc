// Package browsertest drives Debian's Chromium for tests: a real browser with the viewport of a phone, a
// profile of its own, and every network but the machine's own closed.
//
//	Start ──► Browser ──► Open, Fill, Press, Await, Run          what a person does, and sees
//	             │   └──► Offline, Clock, Language, Emulate ...  what happens to a phone
//	             └──────► Faults                                 what no page may do
//
// The browser belongs to the test: it is killed at its end, and with the test process if that dies. A
// missing browser fails the test and names the Debian package.
//
// Nothing waits for time: every step waits until the page is as it has to be, and gives up after the
// patience of the options with what is on the page, so that a slow machine is slow and not red.
//
// # Faults
//
// What goes to the console as an error, what the Content-Security-Policy or Trusted Types stop, what
// nobody catches, and what is asked of another host is a fault of the page. A refusal by the server, or
// a server that is away, is none: pages have to live with those.
package browsertest
