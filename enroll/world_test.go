package enroll_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"otpgate/directory"
	"otpgate/enroll"
	"otpgate/enroll/agreement"
	"otpgate/enroll/mail"
	"otpgate/enroll/smtptest"
	"otpgate/otp"
	"otpgate/otp/audit"
	"otpgate/otp/boltstore"
	"otpgate/otp/keyset"
)

// clock stands still until a test moves it.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// trail is an audit log that a test reads and breaks.
type trail struct {
	mu     sync.Mutex
	events []audit.Event
	err    error
}

func (a *trail) Record(_ context.Context, events ...audit.Event) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.events = append(a.events, events...)
	return a.err
}

func (a *trail) all() []audit.Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]audit.Event(nil), a.events...)
}

func (a *trail) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = err
}

// world is an enrollment server with a real directory, store, keyset and mail server.
type world struct {
	t        testing.TB
	dir      string // where the node keeps what it keeps
	clock    *clock
	server   *enroll.Server
	accounts *directory.Set
	store    *boltstore.Store
	keys     *keyset.Keys
	devices  *otp.Devices
	verifier *otp.Verifier
	smtp     *smtptest.Server
	sender   *mail.Sender
	trail    *trail
	registry *prometheus.Registry
	logged   *syncBuffer
	caller   context.Context //nolint:containedctx // of the requests; nil: nobody hangs up
}

// hangUp has whoever makes the next requests hang up when the function is called, and somebody else make those after it.
func (w *world) hangUp() func() {
	ctx, cancel := context.WithCancel(context.Background())
	w.caller = ctx
	return func() {
		cancel()
		w.caller = nil
	}
}

// syncBuffer takes what several goroutines log.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// invite invites who has a login name or a mail address.
func (w *world) invite(name string) (enroll.Invitation, error) {
	a, err := w.accounts.Find(context.Background(), name, nil)
	if strings.Contains(name, "@") {
		a, err = w.accounts.FindMail(context.Background(), name)
	}
	if err != nil {
		return enroll.Invitation{}, err
	}
	return w.server.Invite(context.Background(), a)
}

// start makes a world; change may alter the options.
func start(t testing.TB, change func(*world, *enroll.Options)) *world {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// Half way through a step, so that codes stay what they are.
	w := &world{t: t, clock: &clock{t: time.Unix(1_800_000_030, 0)}, trail: &trail{}, registry: prometheus.NewRegistry(), logged: &syncBuffer{}}
	logger := slog.New(slog.NewJSONHandler(w.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	dir := t.TempDir()
	w.dir = dir
	var err error
	w.keys, _, err = keyset.Open(filepath.Join(dir, "keys"))
	must(err)
	w.store, err = boltstore.Open(boltstore.Options{Path: filepath.Join(dir, "store.db")})
	must(err)
	t.Cleanup(func() { _ = w.store.Close() })
	w.verifier, err = otp.New(otp.Options{Store: w.store, Keys: w.keys, Window: 1, MaxDrift: 2, Now: w.clock.now})
	must(err)
	w.devices, err = otp.NewDevices(otp.DevicesOptions{
		Store: w.store, Keys: w.keys, Issuer: "Example", Algorithm: otp.SHA1, Digits: 6, Period: time.Minute, MaxDevices: 3,
		Forget: w.verifier.Forget, Now: w.clock.now,
	})
	must(err)
	accounts, err := directory.New(directory.Options{Now: w.clock.now, Directories: []directory.Config{{
		Name: "corp", LDIF: "testdata/people.ldif", BaseDN: "dc=corp,dc=example",
		LoginAttributes: []string{"uid"}, MailAttributes: []string{"mail"}, Fresh: time.Minute, Stale: time.Hour, Timeout: 10 * time.Second,
	}}})
	must(err)
	t.Cleanup(func() { _ = accounts.Close() })
	w.accounts = accounts
	w.smtp = smtptest.Start(t, smtptest.Options{Username: "otp", Password: "smtp-secret"})
	w.sender, err = mail.New(mail.Options{
		From: "OTP <otp@corp.example>", SMTP: "smtp://" + w.smtp.Addr, Username: "otp", Password: "smtp-secret",
		RootCAs: w.smtp.CA, Logger: logger, Registerer: w.registry, Now: w.clock.now,
	})
	must(err)
	t.Cleanup(func() { w.settle() })
	o := enroll.Options{
		Listen: "127.0.0.1:0", PublicURL: "https://otp.example.org", Issuer: "Example", Accounts: accounts, Devices: w.devices,
		Codes: w.verifier, Tickets: w.store, Notes: w.store, Ping: w.store.Ping, Keys: w.keys, Mailer: w.sender, Audit: w.trail,
		AnswerAfter: 5 * time.Millisecond, Logger: logger, Registerer: w.registry, Now: w.clock.now,
		Limits: enroll.Limits{SourceBurst: 100_000, MailboxBurst: 100_000},
	}
	if change != nil {
		change(w, &o)
	}
	w.server, err = enroll.New(o)
	must(err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := w.server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return w
}

// settle waits until all mails are out. No mail can be sent after it.
func (w *world) settle() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := w.sender.Close(ctx); err != nil {
		w.t.Error(err)
	}
}

// post sends members and returns status and answer.
func (w *world) post(path string, members map[string]string) (int, map[string]any) {
	w.t.Helper()
	body, err := json.Marshal(members)
	if err != nil {
		w.t.Fatal(err)
	}
	res := w.do(http.MethodPost, path, string(body), "Content-Type", "application/json")
	var answer map[string]any
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		w.t.Fatalf("%s: %v", path, err)
	}
	return res.StatusCode, answer
}

func (w *world) do(method, path, body string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr = "192.0.2.1:4711"
	if w.caller != nil {
		r = r.WithContext(w.caller)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(recorder, r)
	return recorder.Result()
}

var codeInMail = regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}\b`)

// request asks for an enrollment code and reads it from the mail to an address.
func (w *world) request(email string) (code string, m smtptest.Mail) {
	w.t.Helper()
	seen := 0
	if all := w.smtp.Mails(); len(all) > 0 {
		seen = all[len(all)-1].Number
	}
	if status, _ := w.post("/v1/enrollments", map[string]string{"email": email}); status != http.StatusAccepted {
		w.t.Fatalf("request for %s: %d", email, status)
	}
	eventually(w.t, "a mail with a code to "+email, func() bool {
		for _, m = range w.smtp.To(email) {
			if code = codeInMail.FindString(m.Text); code != "" && m.Number > seen {
				return true
			}
		}
		return false
	})
	return code, m
}

// enroll gives an account another authenticator, in two steps, and returns both answers in one.
func (w *world) enroll(email string) map[string]any {
	w.t.Helper()
	code, _ := w.request(email)
	return w.enrollWith(map[string]string{"email": email, "code": code, "label": "phone"})
}

// enrollWith enrolls another authenticator with the members of the first call.
func (w *world) enrollWith(members map[string]string) map[string]any {
	w.t.Helper()
	status, answer := w.device(members)
	if status != http.StatusCreated {
		w.t.Fatalf("enroll: %d %v", status, answer["type"])
	}
	return answer
}

// device asks for a device and, if it is another authenticator that is offered, shows its first code.
// It returns the last status, and what all answers held.
func (w *world) device(members map[string]string) (int, map[string]any) {
	w.t.Helper()
	status, answer := w.post("/v1/devices", members)
	if status == http.StatusAccepted {
		var second map[string]any
		status, second = w.confirmFirst(answer)
		delete(answer, "qr") // which fills the screen
		maps.Copy(answer, second)
	}
	return status, answer
}

// confirmFirst types the first code of another authenticator.
func (w *world) confirmFirst(offer map[string]any) (int, map[string]any) {
	w.t.Helper()
	uri, _ := offer["otpauth"].(string)
	token, _ := offer["token"].(string)
	return w.post("/v1/confirmations", map[string]string{"token": token, "code": codeFromURI(w.t, uri, w.clock.now())})
}

// phone is a phone with the app, as its owner has it.
type phone struct {
	account, device, label string
	seed                   []byte
}

// code is what the phone shows.
func (p phone) code(at time.Time) string { return hotp(p.seed, uint64(at.Unix()/60)) }

// prove is what the app sends to change something about its device.
func (p phone) prove(action, at, detail string) string {
	h := hmac.New(sha1.New, p.seed)
	h.Write([]byte("otpgate device proof v1\n" + action + "\n" + p.account + "\n" + p.device + "\n" + at + "\n" + detail))
	return encode(h.Sum(nil))
}

// publicKey is that of a phone which nobody has.
func publicKey(t testing.TB) string {
	t.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return agreement.FormatPublicKey(key.PublicKey())
}

// register enrolls a phone by agreement, with further members, and returns it with the answer.
func (w *world) register(email, label string, more map[string]string) (phone, map[string]any) {
	w.t.Helper()
	code, _ := w.request(email)
	p, status, answer := w.tryRegister(email, code, label, more)
	if status != http.StatusCreated {
		w.t.Fatalf("register %s: %d %v", email, status, answer)
	}
	return p, answer
}

// tryRegister asks for a phone to be enrolled with a code.
func (w *world) tryRegister(email, code, label string, more map[string]string) (phone, int, map[string]any) {
	w.t.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	members := map[string]string{"email": email, "code": code, "label": label, "public_key": agreement.FormatPublicKey(key.PublicKey())}
	maps.Copy(members, more)
	status, answer := w.post("/v1/devices", members)
	if status != http.StatusCreated {
		return phone{}, status, answer
	}
	server, err := agreement.ParsePublicKey(answer["public_key"].(string))
	if err != nil {
		w.t.Fatal(err)
	}
	p := phone{account: answer["account"].(string), device: answer["device"].(string), label: label}
	c := agreement.Context{Account: p.account, Device: p.device, Code: strings.ToUpper(strings.ReplaceAll(code, "-", ""))}
	if lock := members["lock"]; lock != "" && lock != "webauthn" {
		if c.Lock, err = agreement.ParseLock(lock); err != nil {
			w.t.Fatal(err)
		}
	}
	if p.seed, err = agreement.Accept(key, server, c); err != nil {
		w.t.Fatal(err)
	}
	return p, status, answer
}

// refused checks that an enrollment is refused as all refusals are.
func (w *world) refused(members map[string]string) {
	w.t.Helper()
	status, answer := w.post("/v1/devices", members)
	if status != http.StatusForbidden || len(answer) != 3 || answer["type"] != "urn:otpgate:code-invalid" {
		w.t.Fatalf("answered %d %v", status, answer)
	}
}

func (w *world) count(account string) int {
	w.t.Helper()
	devices, err := w.devices.List(context.Background(), account)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(devices)
}

// eventually waits for something to become true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 4000 {
		if ok() {
			return
		}
		<-tick.C
	}
	t.Fatalf("it never came true: %s", what)
}

func read(t testing.TB, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
