//go:build !linux || !(amd64 || arm64)

package mmsg

import (
	"errors"
	"syscall"

	"golang.org/x/net/ipv4"
)

// A Reader does not exist on this system.
type Reader struct{}

// NewReader returns nil.
func NewReader(syscall.Conn, int) (*Reader, error) { return nil, nil }

// ReadBatch is for no reader.
func (*Reader) ReadBatch([]ipv4.Message, int) (int, error) { return 0, errors.ErrUnsupported }
