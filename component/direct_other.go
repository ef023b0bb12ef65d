//go:build !unix

package component

import "net"

// direct is for systems where a connection can be written to without waiting.
type direct func(p []byte) (n int, err error)

func writesAtOnce(net.Conn) direct { return nil }

// readsFrom returns conn.Read.
func readsFrom(conn net.Conn) func(p []byte) (int, error) { return conn.Read }
