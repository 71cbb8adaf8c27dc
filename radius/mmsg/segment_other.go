//go:build !linux

package mmsg

// canSegment: nobody else is known to cut messages into datagrams.
const canSegment = false

func appendSegment(control []byte, _ int) []byte { return control }

// Unsegmented is about nothing here.
func Unsegmented(error) bool { return false }
