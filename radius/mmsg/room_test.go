package mmsg

import (
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// TestRoom: the kernel gives what it is asked for, but no more than its administrator allows.
func TestRoom(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // nobody says
	}
	text, err := os.ReadFile("/proc/sys/net/core/rmem_max")
	if err != nil {
		t.Fatal(err)
	}
	allowed, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	for asked, want := range map[int]int{1 << 16: 1 << 16, 2 * allowed: allowed} {
		if err := conn.SetReadBuffer(asked); err != nil {
			t.Fatal(err)
		}
		if got := Room(conn); got != want {
			t.Errorf("asked for %d: %d, want %d", asked, got, want)
		}
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if got := Room(conn); got != 0 {
		t.Errorf("after the end: %d", got)
	}
}
