// Echo sends every datagram back as it came, one by one, as plainly as a Go program can: the unit in which
// TestGate counts. It prints where it listens.
package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
)

func main() {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(conn.LocalAddr())
	room := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(room)
		if err == nil {
			_, err = conn.WriteToUDPAddrPort(room[:n], from)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
