// Package port opens UDP ports towards a server, that many datagrams pass by one system call.
package port
