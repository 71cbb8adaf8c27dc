//go:build !linux

package mmsg

import "syscall"

// Room is not known here.
func Room(syscall.Conn) int { return 0 }
