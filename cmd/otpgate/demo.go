package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"otpgate/configs"
	"otpgate/enroll/outbox"
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
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error { return rt.demo(cmd.Context(), once) },
	}
	cmd.Flags().BoolVar(&once, "once", false, "end after the replay was refused")
	return cmd
}

// demo is the node of the demonstration, and the person in front of it.
type demo struct {
	rt     *runtime
	dir    string
	box    *outbox.Server
	node   *node
	web    string // the address of the pages
	radius string // host:port
	pages  string // the address of the outbox page
}

func (rt *runtime) demo(ctx context.Context, once bool) (err error) {
	d := &demo{rt: rt}
	defer func() { err = errors.Join(err, d.stop(ctx)) }()
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
		fmt.Fprintln(rt.out, "\nstopped; everything was in", d.dir, "and is gone")
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
	d.radius = d.node.radius.Addrs()[0].String()
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
