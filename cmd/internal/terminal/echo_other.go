//go:build !linux

package terminal

import "os"

// Hide does nothing on this system: what is typed is shown.
func Hide(*os.File) (restore func(), ok bool) { return func() {}, false }
