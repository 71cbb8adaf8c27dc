package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"otpgate/enroll"
	"otpgate/otp/audit"
)

// A Client is how a command talks to the running node. All its errors are *[Error] where the node
// had something to say, or could not be reached.
type Client struct {
	path string
	http *http.Client
}

// Dial returns a client for the socket at path. It connects when it is used.
func Dial(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", path)
	}
	return &Client{path, &http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status asks the node how it is.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	return s, c.call(ctx, http.MethodGet, "/status", nil, nil, &s)
}

// Invite makes an invitation for an account, by login name or mail address.
func (c *Client) Invite(ctx context.Context, nameOrMail string) (enroll.Invitation, error) {
	var i enroll.Invitation
	return i, c.call(ctx, http.MethodPost, "/invitations", nil, map[string]string{"name": nameOrMail}, &i)
}

// Account returns all that there is to know about an account.
func (c *Client) Account(ctx context.Context, nameOrMail string) (AccountView, error) {
	var v AccountView
	return v, c.call(ctx, http.MethodGet, "/accounts", url.Values{"name": {nameOrMail}}, nil, &v)
}

// Explain tells what would become of a login, and claims nothing.
func (c *Client) Explain(ctx context.Context, q ExplainRequest) (Explanation, error) {
	var x Explanation
	return x, c.call(ctx, http.MethodPost, "/explanations", nil, q, &x)
}

// ListDevices returns the devices of an account.
func (c *Client) ListDevices(ctx context.Context, nameOrMail string) ([]Device, error) {
	var list []Device
	return list, c.call(ctx, http.MethodGet, "/devices", url.Values{"name": {nameOrMail}}, nil, &list)
}

// AddDevice adds a device with a random seed, and returns it with the otpauth URI, once.
func (c *Client) AddDevice(ctx context.Context, n NewDevice) (Added, error) {
	var a Added
	return a, c.call(ctx, http.MethodPost, "/devices", nil, n, &a)
}

// RevokeDevice removes a device of an account, by its id or its label.
func (c *Client) RevokeDevice(ctx context.Context, nameOrMail, idOrLabel string) (Device, error) {
	var d Device
	return d, c.call(ctx, http.MethodDelete, "/devices", url.Values{"name": {nameOrMail}, "device": {idOrLabel}}, nil, &d)
}

// Audit hands events that fit the filter to each, oldest first; with follow it goes on until the
// context ends, which is no error then, or the node stops, which is one. It is one as well when the
// node stops before each had all of them.
func (c *Client) Audit(ctx context.Context, f audit.Filter, follow bool, each func(audit.Event) error) error {
	q := url.Values{"follow": {strconv.FormatBool(follow)}, "last": {strconv.Itoa(f.Last)}}
	for key, value := range map[string]string{
		"kind": string(f.Kind), "name": f.Name, "account": f.Account, "client": f.Client, "decision": f.Decision, "reason": string(f.Reason),
		"id": f.ID, "source": f.Source, "device": f.Device, "session": f.Session, "actor": f.Actor,
	} {
		if value != "" {
			q.Set(key, value)
		}
	}
	for key, at := range map[string]time.Time{"since": f.Since, "until": f.Until} {
		if !at.IsZero() {
			q.Set(key, at.Format(time.RFC3339Nano))
		}
	}
	res, err := c.send(ctx, http.MethodGet, "/audit", q, "", nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	for d := json.NewDecoder(res.Body); ; {
		var line struct {
			audit.Event
			*Error
		}
		switch err := d.Decode(&line); {
		case err != nil && follow && ctx.Err() != nil:
			return nil
		case err != nil && follow:
			return &Error{"the node has stopped", "run the command again when it is back, with --since for what happens meanwhile"}
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return c.broken(err)
		case line.Error != nil:
			return line.Error
		}
		if err := each(line.Event); err != nil {
			return err
		}
	}
}

// call sends v, if any, and reads the answer into answer.
func (c *Client) call(ctx context.Context, method, path string, q url.Values, v, answer any) error {
	var body io.Reader
	if v != nil {
		octets, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("operator: %w", err)
		}
		body = bytes.NewReader(octets)
	}
	res, err := c.send(ctx, method, path, q, "application/json", body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(answer); err != nil {
		return c.broken(err)
	}
	return nil
}

// send sends a request and returns the answer, unless that is an error.
func (c *Client) send(ctx context.Context, method, path string, q url.Values, kind string, body io.Reader) (*http.Response, error) {
	u := url.URL{Scheme: "http", Host: "otpgate", Path: path, RawQuery: q.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, fmt.Errorf("operator: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", kind)
	}
	res, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &Error{"the node cannot be reached at " + c.path, "start it with otpgate serve, with the same configuration, and run this command as its user or as root"}
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	e := &Error{}
	if err := json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(e); err != nil || e.Fact == "" {
		return nil, &Error{"the node does not know this command: " + res.Status, "use the otpgate command of the same version as the node"}
	}
	return nil, e
}

// broken is the error for an answer that ended too early.
func (c *Client) broken(err error) error {
	return &Error{"the node's answer broke off: " + err.Error(), "see otpgate status, and the node's log"}
}
