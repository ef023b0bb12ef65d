//go:build !unix

package sipside

import "net"

// quickTCP is nothing here: all is left to the methods of net.Conn.
type quickTCP struct{}

func newQuickTCP(net.Conn) *quickTCP { return nil }

func (*quickTCP) write([]byte) (int, error) { return 0, nil }

func (*quickTCP) read(*stream) (int, error) { return 0, nil }
