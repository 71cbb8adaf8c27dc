package enroll_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"otpgate/enroll"
)

// patience is how long the tests give a server, and fast what it gives clients here.
const (
	patience = 30 * time.Second
	fast     = 300 * time.Millisecond
)

// cutOff lets a client do something with a connection, and returns how long after it was opened the
// server ended it; an error when it did not.
func cutOff(t *testing.T, conn net.Conn, began time.Time, write func(io.Writer) error) (time.Duration, error) {
	t.Helper()
	_ = conn.SetDeadline(began.Add(patience))
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		if write(conn) == nil {
			<-ended // whoever has said it all waits for what comes
		}
	}()
	_, err := io.Copy(io.Discard, conn)
	var n net.Error
	if errors.As(err, &n) && n.Timeout() {
		return 0, errors.New("it is still open")
	}
	return time.Since(began), nil
}

// drip sends octets one by one, so that the connection is never quiet for long.
func drip(prefix, octets string) func(io.Writer) error {
	return func(w io.Writer) error {
		if _, err := io.WriteString(w, prefix); err != nil {
			return err
		}
		tick := time.NewTicker(fast / 10)
		defer tick.Stop()
		for _, o := range []byte(octets) {
			<-tick.C
			if _, err := w.Write([]byte{o}); err != nil {
				return err
			}
		}
		return nil
	}
}

func say(text string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, text); return err }
}

// A whole request that takes its time counts from its first octet, and not from its last: nobody
// keeps a connection by saying a little more now and then.
func TestSlowClientsAreCutOff(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) { o.Limits.ServerTimeout = fast })
	addr := serving(t, w)
	const head = "POST /v1/enrollments HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	long := strings.Repeat("x", 2000)
	for name, write := range map[string]func(io.Writer) error{
		"nothing":                      say(""),
		"half a head":                  say(head),
		"a head, octet by octet":       drip("POST /v1/enrollments HTTP/1.1\r\nHost: x\r\nX-Long: ", long),
		"heads, line by line":          drip("POST /v1/enrollments HTTP/1.1\r\nHost: x\r\n", strings.Repeat("a:b\r\n", 400)),
		"half a body":                  say(head + "Content-Length: 100\r\n\r\n{"),
		"a body, octet by octet":       drip(head+"Content-Length: 2000\r\n\r\n", `{"email":"`+long),
		"a chunked body, bit by bit":   drip(head+"Transfer-Encoding: chunked\r\n\r\n", strings.Repeat("1\r\nx\r\n", 300)),
		"a body that nobody waits for": drip("GET /v1/time HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n", long),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			took, err := cutOff(t, conn, began, write)
			if err != nil || took > fast+5*time.Second {
				t.Errorf("%v after %v", err, took)
			}
			if took < fast && !strings.HasPrefix(name, "a body that nobody") {
				t.Errorf("cut off after %v: too soon for whoever is merely slow", took)
			}
			t.Logf("cut off after %v, of %v", took.Round(time.Millisecond), fast)
		})
	}
}

// Whoever is slow, but within the time, is served: the above is not for want of an answer.
func TestSlowClientsWithinTheTimeAreServed(t *testing.T) {
	w := start(t, nil)
	conn, err := net.Dial("tcp", serving(t, w))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const body = `{"email":"a@b.example"}`
	head := fmt.Sprintf("POST /v1/enrollments HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(body))
	if err := drip(head, body)(conn); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || res.StatusCode != http.StatusAccepted {
		t.Errorf("%v %v", res, err)
	}
}

// Over TLS the time begins before there is a request, and with HTTP/2 a connection that carries
// none, or one that does not end, is no other.
func TestSlowClientsAreCutOffOverTLS(t *testing.T) {
	own := certificate(t, "otp.example.org")
	w := start(t, func(_ *world, o *enroll.Options) {
		o.Limits.ServerTimeout = fast
		o.Certificate = func() (*tls.Certificate, error) { return &own, nil }
	})
	w.server.Hasten(w.server.Bounds().Write, 2*fast)
	addr := serving(t, w)
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	for name, c := range map[string]struct {
		tls   bool
		write func(io.Writer) error
	}{
		"nothing":              {false, say("")},
		"half a hello":         {false, say("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")},
		"a hello, bit by bit":  {false, drip("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", strings.Repeat("x", 600))},
		"HTTP/2: no request":   {true, say(preface)},
		"HTTP/2: half headers": {true, say(preface + "\x00\x00\x01\x01\x00\x00\x00\x00\x01\x82")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if c.tls {
				conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
			}
			took, err := cutOff(t, conn, began, c.write)
			if err != nil || took > 2*fast+5*time.Second {
				t.Errorf("%v after %v", err, took)
			}
			t.Logf("cut off after %v", took.Round(time.Millisecond))
		})
	}
}

// A body over HTTP/2 that does not come is waited for as long as any other.
func TestSlowBodyOverHTTP2(t *testing.T) {
	own := certificate(t, "otp.example.org")
	w := start(t, func(_ *world, o *enroll.Options) {
		o.Limits.ServerTimeout = fast
		o.Certificate = func() (*tls.Certificate, error) { return &own, nil }
	})
	client := &http.Client{Timeout: patience, Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	never, end := io.Pipe()
	defer end.Close()
	began := time.Now()
	res, err := client.Post("https://"+serving(t, w)+"/v1/enrollments", "application/json", never)
	took := time.Since(began)
	if err == nil {
		_ = res.Body.Close()
		if res.StatusCode != http.StatusBadRequest || res.ProtoMajor != 2 {
			t.Errorf("%s %d", res.Proto, res.StatusCode)
		}
	}
	if took < fast || took > fast+5*time.Second {
		t.Errorf("it took %v: %v", took, err)
	}
}

// Whoever asks and asks and reads nothing of the answers is let go, and makes room for others.
func TestSlowReadersAreCutOff(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) { o.Limits.Connections = 1 })
	w.server.Hasten(2*fast, patience)
	addr := serving(t, w)
	began := time.Now()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(4096)
	_ = conn.SetDeadline(began.Add(patience))
	request := []byte(strings.Repeat("GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n", 100))
	for err == nil { // until what nobody reads fills every buffer between the two
		_, err = conn.Write(request)
	}
	var n net.Error
	if took := time.Since(began); errors.As(err, &n) && n.Timeout() || took < 2*fast {
		t.Errorf("%v after %v", err, took)
	} else {
		t.Logf("cut off after %v, of %v: %v", took.Round(time.Millisecond), 2*fast, err)
	}
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	res, err := client.Get("http://" + addr + "/v1/time")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
}

// Open connections are counted, whoever has them; one more waits for one to end, and is served.
func TestConnectionsAreBounded(t *testing.T) {
	const most = 3
	w := start(t, func(_ *world, o *enroll.Options) { o.Limits.Connections, o.Limits.ServerTimeout = most, 4*fast })
	addr := serving(t, w)
	began := time.Now()
	for range most {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	res, err := client.Get("http://" + addr + "/v1/time")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if took := time.Since(began); took < 4*fast || res.StatusCode != http.StatusOK {
		t.Errorf("%d after %v, beside %d connections that were open", res.StatusCode, took, most)
	}
}

// What nobody sets is bounded, too.
func TestBoundsByDefault(t *testing.T) {
	b := start(t, nil).server.Bounds()
	for name, d := range map[string]time.Duration{"head": b.ReadHeader, "request": b.Read, "answer": b.Write, "idle": b.Idle} {
		if d <= 0 || d > time.Minute {
			t.Errorf("%s: %v", name, d)
		}
	}
	if b.Header <= 0 || b.Header > 64<<10 || b.Connections <= 0 || b.Connections > 10_000 {
		t.Errorf("%+v", b)
	}
}
