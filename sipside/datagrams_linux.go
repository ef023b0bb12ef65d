package sipside

import "syscall"

// try implements prompt. Why a datagram is not taken is for write to find out.
func (b *batchIO) try(packets []packet) (n int) {
	for n < len(packets) {
		rest := packets[n:min(n+udpBatch, len(packets))]
		sent, err := b.calls.send(rest, syscall.MSG_DONTWAIT)
		n += sent
		if err != nil || sent < len(rest) {
			b.stopped = true
			return n
		}
	}
	return n
}
