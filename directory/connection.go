package directory

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-ldap/ldap/v3"
)

var (
	// errBroken: the connection is of no use any more, or the server of none for now. Another
	// connection, or another server, may do better.
	errBroken = errors.New("connection failed")
	errClosed = errors.New("closed")
)

// A dialer makes connections to the servers of one directory.
type dialer struct {
	startTLS     bool
	rootCAs      *x509.CertPool
	bindDN       string
	bindPassword string
}

// dial returns a connection that can be used: with TLS where it is configured, and bound as the
// searcher if bind is true. All of it happens before the context's deadline.
func (d *dialer) dial(ctx context.Context, e endpoint, bind bool) (*connection, error) {
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", e.address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBroken, err)
	}
	// Whatever blocks below ends when this closes: go-ldap's StartTLS knows no context.
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	c, err := d.open(ctx, e, raw)
	if err == nil && bind && d.bindDN != "" {
		if err = c.bind(ctx, d.bindDN, d.bindPassword); errors.Is(err, ErrPasswordWrong) {
			err = fmt.Errorf("%w: bind_dn or its password refused", errBroken)
		}
	}
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		raw.Close()
		if c != nil {
			c.close()
		}
		return nil, fmt.Errorf("%w: %s: %w", errBroken, e.url, err)
	}
	return c, nil
}

// open adds TLS and LDAP to a connection.
func (d *dialer) open(ctx context.Context, e endpoint, raw net.Conn) (*connection, error) {
	c := &connection{raw: raw}
	transport := raw
	config := &tls.Config{ServerName: e.host, RootCAs: d.rootCAs, MinVersion: tls.VersionTLS12}
	if e.tls {
		encrypted := tls.Client(transport, config)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("TLS: %w", err)
		}
		transport = encrypted
	}
	c.ldap = ldap.NewConn(transport, e.tls)
	c.ldap.Start()
	if d.startTLS && !e.tls {
		// There is no going on without: whoever sits between could have answered "no".
		err := c.ldap.StartTLS(config)
		if state, encrypted := c.ldap.TLSConnectionState(); err == nil && (!encrypted || !state.HandshakeComplete) {
			err = errors.New("not encrypted")
		}
		if err != nil {
			c.close()
			return nil, fmt.Errorf("StartTLS: %w", err)
		}
	}
	return c, nil
}

// A connection is one to an LDAP server, which may carry several requests at once. It is closed
// when it is retired and nobody uses it any more.
type connection struct {
	raw  net.Conn
	ldap *ldap.Conn
	born time.Time
	from *server

	mu      sync.Mutex
	users   int
	retired bool
	gone    atomic.Bool
	onClose func() // may be nil
}

// use reports whether the connection may be used; then release has to follow.
func (c *connection) use() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.retired || c.gone.Load() || c.ldap.IsClosing() {
		return false
	}
	c.users++
	return true
}

func (c *connection) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users--; c.users == 0 && c.retired {
		c.close()
	}
}

// retire lets nobody use the connection any more; those who do may finish.
func (c *connection) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired = true
	if c.users == 0 {
		c.close()
	}
}

// close ends the connection at once. The socket goes first: go-ldap's Close waits for its
// goroutines, and one of them may be waiting for a server that does not read.
func (c *connection) close() {
	if c.gone.CompareAndSwap(false, true) {
		c.raw.Close()
		go c.ldap.Close()
		if c.onClose != nil {
			c.onClose()
		}
	}
}

// bind checks a password. The connection is used for nothing else meanwhile.
func (c *connection) bind(ctx context.Context, dn, password string) error {
	if dn == "" || password == "" { // RFC 4513 sections 5.1.1 and 5.1.2: it might succeed
		return ErrPasswordEmpty
	}
	_, err := await(ctx, func() (struct{}, error) {
		return struct{}{}, c.ldap.Bind(dn, password)
	})
	if refusesPassword(err) {
		return ErrPasswordWrong
	}
	return classify(err)
}

// search returns the entries found, and whether there are more than the request's limit. Referrals
// and continuations are not followed: they would lead to servers that nobody configured.
func (c *connection) search(ctx context.Context, request *ldap.SearchRequest) (entries []*ldap.Entry, more bool, err error) {
	result, err := await(ctx, func() (*ldap.SearchResult, error) { return c.ldap.Search(request) })
	if ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded) || errors.Is(err, ldap.ErrSizeLimitExceeded) {
		return result.Entries, true, nil
	}
	if err != nil {
		return nil, false, classify(err)
	}
	return result.Entries, false, nil
}

// await runs a call that knows no context. When the context ends first, the call goes on until its
// answer comes or its connection is closed, and nobody listens.
func await[T any](ctx context.Context, call func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		o := outcome{err: fmt.Errorf("%w: malformed answer", errBroken)}
		defer func() {
			_ = recover() // the library's decoder, on what a server sent
			done <- o
		}()
		o.value, o.err = call()
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// refusesPassword reports whether a server said that this name and this password do not belong
// together, or that the account may not log in, rather than that it could not tell.
func refusesPassword(err error) bool {
	return ldap.IsErrorAnyOf(err, ldap.LDAPResultInvalidCredentials, ldap.LDAPResultInappropriateAuthentication,
		ldap.LDAPResultUnwillingToPerform, ldap.LDAPResultConstraintViolation, ldap.LDAPResultInsufficientAccessRights,
		ldap.LDAPResultNoSuchObject, ldap.LDAPResultInvalidDNSyntax)
}

// classify wraps errBroken around an error that another server might not give.
func classify(err error) error {
	switch {
	case err == nil, errors.Is(err, errBroken):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: no answer: %w", errBroken, err)
	}
	answer := (*ldap.Error)(nil)
	if !errors.As(err, &answer) || answer.ResultCode >= ldap.ErrorNetwork && answer.ResultCode <= ldap.ErrorMalformedPacket ||
		ldap.IsErrorAnyOf(err, ldap.LDAPResultBusy, ldap.LDAPResultUnavailable, ldap.LDAPResultOther,
			ldap.LDAPResultTimeLimitExceeded, ldap.LDAPResultAdminLimitExceeded) {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	return err
}
