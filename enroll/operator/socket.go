package operator

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// SocketName is the file in data_dir by which commands reach the node.
const SocketName = "operator.sock"

// ErrRunning: a node answers on the socket already.
var ErrRunning = errors.New("a node is running with this data_dir")

// maxPath is how long the path of a socket may be on every system that matters.
const maxPath = 103

// Listen makes the socket. One that a dead node left is removed; one that a node answers on is
// [ErrRunning].
func Listen(path string) (net.Listener, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("operator: the path of the socket is longer than %d octets: %s", maxPath, path)
	}
	if err := removeStale(path); err != nil {
		return nil, fmt.Errorf("operator: %s: %w", path, err)
	}
	// Bound under another name in a folder of its own, which nobody else can enter, and moved
	// into place once its mode is right: there is no moment at which others could connect.
	dir, err := os.MkdirTemp(filepath.Dir(path), ".op")
	if err != nil {
		return nil, fmt.Errorf("operator: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	hidden := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: hidden, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("operator: %w", err)
	}
	l.SetUnlinkOnClose(false) // the name it knows is not the one it will have
	if err := errors.Join(os.Chmod(hidden, 0o600), os.Rename(hidden, path)); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("operator: %w", err)
	}
	return &listener{l, sync.OnceValue(func() error {
		err := l.Close()
		if err == nil {
			_ = os.Remove(path)
		}
		return err
	})}, nil
}

// listener removes its socket when it is closed. Whoever closes it again, as who stops a node does while its server begins,
// waits until the socket is gone.
type listener struct {
	*net.UnixListener
	closeOnce func() error
}

// Close implements [net.Listener].
func (l *listener) Close() error { return l.closeOnce() }

// removeStale removes a socket that nobody listens on.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != os.ModeSocket {
		return errors.New("there is something else in the place of the socket")
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = conn.Close()
		return ErrRunning
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err // it may well be alive, and busy
	}
	return os.Remove(path)
}
