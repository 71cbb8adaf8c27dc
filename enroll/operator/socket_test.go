package operator_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"otpgate/enroll/operator"
)

// dialVariable makes the test binary connect to a socket and say what came of it: another process
// can be another user.
const dialVariable = "OTPGATE_TEST_DIAL"

func TestMain(m *testing.M) {
	if path := os.Getenv(dialVariable); path != "" {
		_, err := net.Dial("unix", path)
		fmt.Print(err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// connectAs connects in another process, as a user.
func connectAs(t *testing.T, path string, uid int) string {
	t.Helper()
	// Where go test puts the binary, other users may not go.
	octets, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "connect")
	if err := os.WriteFile(binary, octets, 0o755); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	cmd := exec.Command(binary)
	cmd.Env = []string{dialVariable + "=" + path}
	if uid != os.Getuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	out, err := cmd.Output() // a covered binary warns on stderr
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// open lets everybody into a folder of the test.
func open(t *testing.T, dir string) {
	t.Helper()
	for ; dir != filepath.Clean(os.TempDir()) && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOnlyItsUserMayConnect(t *testing.T) {
	w := start(t, 0, nil)
	info, err := os.Lstat(w.path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != os.ModeSocket {
		t.Fatalf("%v %v", info, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(w.path), ".op*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if got := connectAs(t, w.path, os.Getuid()); got != "<nil>" {
		t.Errorf("its own user: %s", got)
	}
	if os.Getuid() != 0 {
		return // only root can become somebody else; the mode above says it
	}
	open(t, filepath.Dir(w.path)) // so that it is the socket that refuses
	if got := connectAs(t, w.path, 65534); !strings.Contains(got, "permission denied") {
		t.Errorf("somebody else: %s", got)
	}
}

func TestTheKernelSaysWhoItWas(t *testing.T) {
	w := start(t, 0, nil)
	res := w.raw("POST", "/invitations", `{"name":"alice"}`, "X-Actor", "uid 4711", "From", "uid 4711")
	if res.StatusCode != http.StatusOK {
		t.Fatal(res.Status)
	}
	all := w.events()
	if want := fmt.Sprintf("uid %d", os.Getuid()); len(all) != 1 || !strings.HasPrefix(all[0].Actor, want) || all[0].Action != "invited" {
		t.Errorf("%+v", all)
	}
}

func TestOneNodePerSocket(t *testing.T) {
	w := start(t, 0, nil)
	if _, err := operator.Listen(w.path); !errors.Is(err, operator.ErrRunning) {
		t.Error(err)
	}
	if _, err := w.client.Status(context.Background()); err != nil {
		t.Errorf("the one that runs was disturbed: %v", err)
	}
}

func TestDeadSocketIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	_ = dead.Close()
	l, err := operator.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	_ = l.Close()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestSomethingElseIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(file, []byte("keep"), 0o600), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link, dir} {
		if _, err := operator.Listen(path); err == nil || !strings.Contains(err.Error(), "something else") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if octets, _ := os.ReadFile(file); string(octets) != "keep" {
		t.Error("the file was changed")
	}
	if _, err := operator.Listen(filepath.Join(dir, "nowhere", "s")); err == nil {
		t.Error("a socket in a folder that is not there")
	}
}

func TestPathOfTheSocket(t *testing.T) {
	base, err := os.MkdirTemp("/tmp", "op") //nolint:usetesting // short, which t.TempDir is not
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	folder := func(length int) string {
		dir := filepath.Join(base, strings.Repeat("d", length-len(base)-len("//")-len(operator.SocketName)))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, operator.SocketName)
	}
	l, err := operator.Listen(folder(103))
	if err != nil {
		t.Fatalf("103 octets: %v", err)
	}
	_ = l.Close()
	if _, err := operator.Listen(folder(104)); err == nil || !strings.Contains(err.Error(), "103 octets") {
		t.Errorf("104 octets: %v", err)
	}
}

func TestNobodyThere(t *testing.T) {
	c := operator.Dial(filepath.Join(t.TempDir(), "s"))
	defer c.Close()
	_, err := c.Status(context.Background())
	wants(t, "no socket", err, "cannot be reached")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.Status(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestShutdownRemovesTheSocketServedOrNot(t *testing.T) {
	w := start(t, 0, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := w.server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(w.path); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestOptions(t *testing.T) {
	if _, err := operator.New(operator.Options{}); err == nil || !strings.Contains(err.Error(), "must be given") {
		t.Error(err)
	}
}
