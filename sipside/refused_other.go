//go:build !linux

package sipside

import (
	"net"
	"net/netip"
)

// Without an error queue a request that nobody takes ends by Timer F.

func isRefusal(error) bool { return false }

func askForErrors(*net.UDPConn) {}

func readErrors(*net.UDPConn, func(dest netip.AddrPort, wire []byte, err error)) {}
