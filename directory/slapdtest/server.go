package slapdtest

import (
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Options say what kind of server it is.
type Options struct {
	// LDIF is what it holds; empty: [Entries].
	LDIF string
	// TLS lets it answer StartTLS, and ldaps:// on a port of its own.
	TLS bool
	// Hosts are what its certificate is for; empty: 127.0.0.1.
	Hosts []string
	// Database are lines of slapd.conf for the database, before its access rules.
	Database string
}

// A Server is a running slapd.
type Server struct {
	// CAFile is the certificate of the authority that signed the server's, in PEM.
	CAFile string

	BaseDN, RootDN, RootPassword, ServiceDN, ServicePassword string

	t        testing.TB
	dir      string
	port     int // the one of ldaps:// follows it
	tls      bool
	process  *exec.Cmd
	exited   chan struct{} // closed when process has ended
	patience time.Duration
}

// Start starts a server and waits until it answers. It is killed when the test ends.
//
// It is as careless as a server may be: a bind without a password, or without a name, succeeds (RFC
// 4513 section 5.1). Whoever lets one through lets anybody in.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{
		BaseDN: BaseDN, RootDN: RootDN, RootPassword: RootPassword,
		ServiceDN: ServiceDN, ServicePassword: ServicePassword,
		t: t, dir: t.TempDir(), tls: o.TLS, patience: 30 * time.Second,
	}
	if o.LDIF == "" {
		o.LDIF = Entries
	}
	if len(o.Hosts) == 0 {
		o.Hosts = []string{"127.0.0.1"}
	}
	certificates(t, s.dir, o.Hosts)
	s.CAFile = s.path("ca.pem")
	s.configure(o)
	t.Cleanup(s.Stop)
	for range 5 { // somebody else may take the port before slapd does
		s.port = freePorts(t)
		if s.launch() {
			return s
		}
	}
	t.Fatalf("slapd does not start:\n%s", s.Log())
	return nil
}

// configure writes slapd.conf and loads the entries.
func (s *Server) configure(o Options) {
	s.t.Helper()
	if err := os.Mkdir(s.path("data"), 0o700); err != nil {
		s.t.Fatal(err)
	}
	var c strings.Builder
	for _, schema := range []string{"core", "cosine", "inetorgperson", "nis"} {
		fmt.Fprintf(&c, "include /etc/ldap/schema/%s.schema\n", schema)
	}
	fmt.Fprintf(&c, "modulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload ppolicy\n"+
		"allow bind_anon_cred bind_anon_dn\npidfile %s\n", s.path("pid"))
	if o.TLS {
		fmt.Fprintf(&c, "TLSCACertificateFile %s\nTLSCertificateFile %s\nTLSCertificateKeyFile %s\n",
			s.CAFile, s.path("server.pem"), s.path("server.key"))
	}
	fmt.Fprintf(&c, `database mdb
suffix %[1]q
rootdn %[2]q
rootpw %[3]q
directory %[4]s
maxsize 33554432
dbnosync
index objectClass,uid,cn,mail,member,uniqueMember,memberUid,entryUUID eq
overlay ppolicy
ppolicy_default "cn=default,ou=policies,%[1]s"
%[6]s
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact=%[5]q read by anonymous auth by self read by * none
`, BaseDN, RootDN, RootPassword, s.path("data"), ServiceDN, o.Database)
	if err := os.WriteFile(s.path("slapd.conf"), []byte(c.String()), 0o600); err != nil {
		s.t.Fatal(err)
	}
	load := exec.Command(program(s.t, "slapadd"), "-q", "-f", s.path("slapd.conf"))
	load.Stdin = strings.NewReader(o.LDIF)
	if out, err := load.CombinedOutput(); err != nil {
		s.t.Fatalf("slapadd: %v\n%s", err, out)
	}
}

// launch starts slapd and reports whether it listens.
func (s *Server) launch() bool {
	s.t.Helper()
	log, err := os.OpenFile(s.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	urls := s.URL()
	if s.tls {
		urls += " " + s.LDAPSURL()
	}
	// -d 256 keeps it in the foreground, and lets the log tell every operation.
	s.process = exec.Command(program(s.t, "slapd"), "-d", "256", "-f", s.path("slapd.conf"), "-h", urls)
	s.process.Stderr = log
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	exited := make(chan struct{})
	s.exited = exited
	go func(process *exec.Cmd) {
		_ = process.Wait()
		close(exited)
	}(s.process)
	deadline := time.After(s.patience)
	for {
		if c, err := net.Dial("tcp", s.Addr()); err == nil {
			c.Close()
			return true
		}
		select {
		case <-exited:
			return false
		case <-deadline:
			s.t.Fatalf("slapd does not listen on %s:\n%s", s.Addr(), s.Log())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Stop ends the server, as a restart of the machine does: connections are closed.
func (s *Server) Stop() {
	s.t.Helper()
	if s.process == nil {
		return
	}
	s.Thaw()
	_ = s.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(s.patience):
		_ = s.process.Process.Kill()
		<-s.exited
	}
	s.process = nil
}

// Start starts a stopped server again, on the same port, with the same data.
func (s *Server) Start() {
	s.t.Helper()
	if s.process != nil {
		return
	}
	deadline := time.After(s.patience)
	for !s.launch() {
		select {
		case <-deadline:
			s.t.Fatalf("slapd does not start again:\n%s", s.Log())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Freeze makes the server hang: connections stay open and new ones are accepted by the kernel, but
// nothing is answered. It returns when the last thread has stopped, which takes the kernel a while.
func (s *Server) Freeze() {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
	deadline := time.After(s.patience)
	for s.process != nil && !s.stopped() {
		select {
		case <-deadline:
			s.t.Fatal("slapd does not stop")
		case <-time.After(time.Millisecond):
		}
	}
}

// stopped reports whether all threads are stopped, or gone: proc_pid_stat(5), the state behind the name.
func (s *Server) stopped() bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", s.process.Process.Pid))
	for _, thread := range threads {
		stat, _ := os.ReadFile(thread)
		if _, state, found := strings.Cut(string(stat), ") "); found && !strings.HasPrefix(state, "T") && !strings.HasPrefix(state, "Z") {
			return false
		}
	}
	return true
}

// Thaw ends a freeze.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal syscall.Signal) {
	s.t.Helper()
	if s.process == nil {
		return
	}
	if err := s.process.Process.Signal(signal); err != nil && !strings.Contains(err.Error(), "finished") {
		s.t.Errorf("slapd: %v", err)
	}
}

// Addr is where it listens: 127.0.0.1:port.
func (s *Server) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// URL is ldap://127.0.0.1:port. With TLS it answers StartTLS.
func (s *Server) URL() string { return "ldap://" + s.Addr() }

// LDAPSURL is ldaps://127.0.0.1:port, with Options.TLS.
func (s *Server) LDAPSURL() string { return fmt.Sprintf("ldaps://127.0.0.1:%d", s.port+1) }

// CAPool holds the authority that signed the server's certificate.
func (s *Server) CAPool() *x509.CertPool {
	s.t.Helper()
	pool := x509.NewCertPool()
	ca, err := os.ReadFile(s.CAFile)
	if err != nil || !pool.AppendCertsFromPEM(ca) {
		s.t.Fatalf("%s: %v", s.CAFile, err)
	}
	return pool
}

// Log returns what the server has said about every connection and operation. It writes a line
// before it answers.
func (s *Server) Log() string {
	s.t.Helper()
	log, err := os.ReadFile(s.path("log"))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(log)
}

// Modify changes entries while the server runs: LDIF change records (RFC 2849), as the root.
func (s *Server) Modify(changes string) {
	s.t.Helper()
	cmd := exec.Command(program(s.t, "ldapmodify"), "-x", "-H", s.URL(), "-D", RootDN, "-w", RootPassword)
	cmd.Env = append(os.Environ(), "LDAPNOINIT=1")
	cmd.Stdin = strings.NewReader(changes)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("ldapmodify: %v\n%s", err, out)
	}
}

// SetPassword changes a password, which may be any octets.
func (s *Server) SetPassword(dn string, password []byte) {
	s.t.Helper()
	s.Modify(fmt.Sprintf("dn:: %s\nchangetype: modify\nreplace: userPassword\nuserPassword:: %s\n", base64ed(dn), base64ed(string(password))))
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

// freePorts returns the first of two neighbouring ports that are free, below those that the kernel
// hands out, so that nobody gets them while the server is stopped.
func freePorts(t testing.TB) int {
	t.Helper()
	for range 200 {
		port := 20000 + 2*rand.IntN(6000)
		if isFree(port) && isFree(port+1) {
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

func isFree(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err == nil {
		l.Close()
	}
	return err == nil
}

// program finds a program, which may be where only root's PATH leads.
func program(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	if path := "/usr/sbin/" + name; isExecutable(path) {
		return path
	}
	t.Fatalf("%s is missing: apt-get install slapd ldap-utils", name)
	return ""
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0
}

func base64ed(s string) string {
	return base64.StdEncoding.EncodeToString([]byte(s))
}
