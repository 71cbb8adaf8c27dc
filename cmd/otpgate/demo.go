package main

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"otpgate/cmd/internal/console"
	"otpgate/configs"
	"otpgate/enroll/agreement"
	"otpgate/enroll/outbox"
	"otpgate/otp"
	"otpgate/radius/probe"
)

// demoSecret is the shared secret of the demonstration's only client, which is on this machine.
const demoSecret = "demo-secret-16-octets"

func (rt *runtime) demoCommand() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch a login pass and its replay fail",
		Long: `Runs everything on this machine, in a temporary folder: a directory from a file, the embedded
store, mails into an outbox page. It enrolls a phone the way a person would, logs in over its own
RADIUS socket, shows the accept and the refusal of the same code, and stays up to be played with.`,
		Args: console.ExactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error { return rt.demo(cmd.Context(), once) },
	}
	cmd.Flags().BoolVar(&once, "once", false, "end after the replay was refused")
	return cmd
}

// demo is the node of the demonstration, and the person in front of it.
type demo struct {
	rt     *runtime
	gone   context.CancelCauseFunc // ends the demonstration when nobody reads it
	dir    string
	box    *outbox.Server
	node   *node
	web    string // the address of the pages
	radius string // host:port
	pages  string // the address of the outbox page
}

func (rt *runtime) demo(ctx context.Context, once bool) (err error) {
	// Whoever stops reading, as head does, must not leave the folder behind: writing fails instead of
	// ending the process, and that ends the demonstration.
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	defer signal.Stop(pipe)
	signalled := ctx
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		var stop context.CancelFunc // when the folder is gone: a terminal that is closed may send several
		signalled, stop = signal.NotifyContext(ctx, syscall.SIGHUP)
		defer stop()
	}
	ctx, gone := context.WithCancelCause(signalled)
	defer gone(nil)
	d := &demo{rt: rt, gone: gone}
	defer func() {
		err = errors.Join(interrupted(signalled, err), d.stop(ctx))
		if errors.Is(context.Cause(ctx), syscall.EPIPE) {
			err = console.Silent(syscall.EPIPE)
		}
	}()
	if err := d.start(ctx); err != nil {
		return err
	}
	if err := d.play(ctx); err != nil {
		return err
	}
	if once {
		return nil
	}
	d.invite()
	select {
	case <-ctx.Done():
		d.say("\nstopped; everything was in %s and is gone", d.dir)
		return nil
	case err := <-d.node.life.failed:
		return err
	}
}

// start runs the node as serve would, from a configuration file as anybody would write it.
func (d *demo) start(ctx context.Context) (err error) {
	if d.dir, err = os.MkdirTemp("", "otpgate-demo-"); err != nil {
		return err
	}
	if d.box, err = outbox.Listen(outbox.Options{Now: d.rt.now}); err != nil {
		return err
	}
	page, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.pages = "http://" + page.Addr().String() + "/outbox/"
	pages := &http.Server{Handler: d.box.Page(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = pages.Serve(page) }()
	context.AfterFunc(ctx, func() { _ = pages.Close() })

	port, err := freeLoopbackPort()
	if err != nil {
		return err
	}
	d.web = fmt.Sprintf("http://127.0.0.1:%d", port)
	d.rt.configPath = filepath.Join(d.dir, "otpgate.yaml")
	if err := errors.Join(
		os.WriteFile(filepath.Join(d.dir, "people.ldif"), configs.DemoPeople, 0o600),
		os.WriteFile(d.rt.configPath, []byte(d.configuration(port)), 0o600),
	); err != nil {
		return err
	}
	cfg, err := d.rt.load()
	if err != nil {
		return err
	}
	quiet := *d.rt
	quiet.err = io.Discard // the story is the output; the audit trail is in the folder
	if d.node, err = quiet.wire(ctx, cfg); err != nil {
		return err
	}
	d.radius = d.node.radius.Load().Addrs()[0].String()
	return nil
}

func (d *demo) configuration(port int) string {
	return fmt.Sprintf(`# The configuration of otpgate demo: everything on this machine, nothing kept.
data_dir: data
radius:
  listen: ["127.0.0.1:0"]
  clients:
    - {name: gateway, networks: [127.0.0.0/8], secret: %s, login: code}
directories:
  - {name: demo, ldif_file: people.ldif, base_dn: "dc=demo,dc=example"}
otp: {issuer: otpgate demo}
enroll:
  listen: "127.0.0.1:%d"
  public_url: http://127.0.0.1:%d
  policy: anyone
  mail: {from: "otpgate demo <otp@demo.example>", smtp: "smtp+insecure://%s"}
metrics: {listen: "127.0.0.1:0"}
`, demoSecret, port, port, d.box.Addr())
}

func freeLoopbackPort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (d *demo) stop(ctx context.Context) (err error) {
	if d.node != nil {
		err = d.node.stop()
	}
	if d.box != nil {
		err = errors.Join(err, d.box.Close())
	}
	if d.dir != "" {
		err = errors.Join(err, os.RemoveAll(d.dir))
	}
	return err
}

// demoMail is whose phone the demonstration enrolls.
const (
	demoMail = "alice@demo.example"
	demoName = "alice"
)

// play enrolls a phone the way a person would, logs in with it, and tries the same code again.
// It fails unless the first is accepted and the second refused.
func (d *demo) play(ctx context.Context) error {
	d.say("otpgate demo\n")
	d.say("  directory   3 people from a file")
	d.say("  RADIUS      %s, secret %s", d.radius, demoSecret)
	d.say("  pages       %s/", d.web)
	d.say("  mails       %s\n", d.pages)

	code, err := d.askForCode(ctx)
	if err != nil {
		return fmt.Errorf("enrollment: %w", err)
	}
	device, err := d.enroll(ctx, code)
	if err != nil {
		return fmt.Errorf("enrollment: %w", err)
	}
	typed := device.code(d.rt.now())
	d.say("3. The phone shows %s. The gateway asks whether %s may log in with it", spaced(typed), demoName)
	if err := d.login(ctx, typed, probe.AccessAccept); err != nil {
		return err
	}
	d.say("4. Somebody looked over her shoulder and types the same code")
	return d.login(ctx, typed, probe.AccessReject)
}

// askForCode asks for an enrollment code, as the first page of the app does, and reads the mail.
func (d *demo) askForCode(ctx context.Context) (string, error) {
	d.say("1. Alice enters her e-mail address into the app, and gets a mail with an enrollment code")
	if _, err := d.post(ctx, "/v1/enrollments", map[string]string{"email": demoMail}, http.StatusAccepted); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	m, err := d.box.Wait(ctx, demoMail, 0)
	if err != nil {
		return "", err
	}
	code := regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}\b`).FindString(m.Text)
	if code == "" {
		return "", errors.New("there is no code in the mail")
	}
	d.say("   POST /v1/enrollments      202 Accepted")
	d.say("   mail to %s   %q: %s\n", m.To, m.Subject, code)
	return code, nil
}

// phone is a device as its owner has it.
type phone struct {
	seed   []byte
	digits int
	period time.Duration
}

func (p phone) code(at time.Time) string { return otp.CodeAt(otp.SHA1, p.seed, p.digits, p.period, at) }

// enroll types the enrollment code into the app, which agrees upon a key with the node.
func (d *demo) enroll(ctx context.Context, code string) (phone, error) {
	d.say("2. She types the code into the app; her phone has a key of its own now")
	own, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return phone{}, err
	}
	answer, err := d.post(ctx, "/v1/devices", map[string]string{
		"email": demoMail, "code": code, "label": "demo phone", "public_key": agreement.FormatPublicKey(own.PublicKey()),
	}, http.StatusCreated)
	if err != nil {
		return phone{}, err
	}
	d.say("   POST /v1/devices          201 Created\n")
	var device struct {
		Device    string `json:"device"`
		Account   string `json:"account"`
		PublicKey string `json:"public_key"`
	}
	if err := json.Unmarshal(answer, &device); err != nil {
		return phone{}, err
	}
	node, err := agreement.ParsePublicKey(device.PublicKey)
	if err != nil {
		return phone{}, err
	}
	seed, err := agreement.Accept(own, node, agreement.Context{Account: device.Account, Device: device.Device, Code: strings.ReplaceAll(code, "-", "")})
	return phone{seed: seed, digits: d.node.cfg.OTP.Digits, period: d.node.cfg.OTP.Period}, err
}

// login asks as a gateway does, and fails unless the answer is the one wanted.
func (d *demo) login(ctx context.Context, code string, want byte) error {
	start := d.rt.now()
	reply, err := probe.Exchange(ctx, d.radius, probe.Login(demoSecret, demoName, code))
	took := d.rt.now().Sub(start)
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	note := ""
	if want == probe.AccessReject {
		note = ", refusals take their time"
	}
	d.say("   Access-Request       ->   %s   (%.1f ms%s)\n", probe.CodeName(reply.Code), float64(took.Microseconds())/1000, note)
	if reply.Code != want {
		return fmt.Errorf("login: the answer is %s, it should be %s", probe.CodeName(reply.Code), probe.CodeName(want))
	}
	return nil
}

// invite says what to do next.
func (d *demo) invite() {
	d.say("Now you. It all runs until you press Ctrl-C.\n")
	d.say("  Enroll in a browser as %s, bao@ or carla@demo.example:", demoMail)
	d.say("    %s/app/", d.web)
	d.say("  Read the mails, in three languages:")
	d.say("    %s", d.pages)
	d.say("  Log in with the code that your browser shows (radclient is in freeradius-utils):")
	d.say("    echo 'User-Name = alice, User-Password = \"123456\", Message-Authenticator = 0x00' | radclient -x %s auth %s", d.radius, demoSecret)
	d.say("  See what happened, and give somebody a device by QR code:")
	d.say("    otpgate audit --config %s", d.rt.configPath)
	d.say("    otpgate device add bao --config %s", d.rt.configPath)
}

func (d *demo) say(form string, args ...any) {
	if _, err := fmt.Fprintf(d.rt.out, form+"\n", args...); err != nil {
		d.gone(err)
	}
}

// spaced is a code as the app shows it: 123 456.
func spaced(code string) string {
	half := len(code) / 2
	return strings.TrimSpace(code[:half] + " " + code[half:])
}

// post sends JSON to the node's pages and returns the answer, which must have a status.
func (d *demo) post(ctx context.Context, path string, v any, want int) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.web+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && res.StatusCode != want {
		err = fmt.Errorf("POST %s: %s", path, res.Status)
	}
	return answer, err
}
