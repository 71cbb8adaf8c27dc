//go:build !linux

package port

import (
	"errors"
	"net"
)

func segment(*net.UDPConn, int) error { return errors.ErrUnsupported }
