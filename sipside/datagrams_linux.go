package sipside

import "syscall"

// try implements prompt. Why a datagram is not taken is for write to find out.
func (b *batchIO) try(packets []packet) (n int) {
	for n < len(packets) {
		loaded := b.load(packets[n:])
		sent, err := b.pc.WriteBatch(b.out[:loaded], syscall.MSG_DONTWAIT)
		if err != nil {
			return n
		}
		n += sent
		if sent < loaded {
			return n
		}
	}
	return n
}
