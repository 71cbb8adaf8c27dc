package enroll

import "time"

// Bounds are the times and sizes that the HTTP server holds a client to.
type Bounds struct {
	ReadHeader, Read, Write, Idle time.Duration
	Header, Connections           int
}

// Bounds returns them.
func (s *Server) Bounds() Bounds {
	return Bounds{s.http.ReadHeaderTimeout, s.http.ReadTimeout, s.http.WriteTimeout, s.http.IdleTimeout, s.http.MaxHeaderBytes, s.o.Limits.Connections}
}

// Hasten shortens the times that no option sets, so that a test need not wait for them.
func (s *Server) Hasten(write, idle time.Duration) {
	s.http.WriteTimeout, s.http.IdleTimeout = write, idle
}
