//go:build !linux || !(amd64 || arm64)

package sipside

import "net"

func newBatchCalls(c *net.UDPConn) batchCalls { return newNetBatch(c) }
