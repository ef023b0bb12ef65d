package history

const (
	blockSize  = 64
	blockBytes = blockSize + 4 // and its link
	chunk      = 256           // blocks that are made at once
)

// blocks keep sequences of octets, each in a chain of blocks of the same size: so none of what
// is given back is of the wrong size for what comes next, and nothing is allocated once there
// are as many as are needed. Memory that has been made is kept.
type blocks struct {
	chunks [][]byte
	next   []uint32 // of each block the one behind it, by number; those begin with 1
	free   uint32   // the first of those that nobody has
	used   int      // those that somebody has
}

// bytes is what those in use take.
func (b *blocks) bytes() int { return b.used * blockBytes }

func (b *blocks) block(at uint32) []byte {
	from := (at - 1) % chunk * blockSize
	return b.chunks[(at-1)/chunk][from : from+blockSize]
}

// write has the chain that begins with first (0: there is none yet) keep p, which is not
// empty, instead of what it had. It returns where it begins now.
func (b *blocks) write(first uint32, p []byte) uint32 {
	at, last := first, uint32(0)
	for len(p) > 0 {
		if at == 0 {
			at = b.take()
			if last == 0 {
				first = at
			} else {
				b.next[last-1] = at
			}
		}
		block := b.block(at)
		n := copy(block, p)
		clear(block[n:])
		p = p[n:]
		last, at = at, b.next[at-1]
	}
	b.next[last-1] = 0
	b.release(at)
	return first
}

// read appends the n octets of a chain to p.
func (b *blocks) read(p []byte, first uint32, n int) []byte {
	for at := first; n > 0; at = b.next[at-1] {
		part := b.block(at)[:min(n, blockSize)]
		p = append(p, part...)
		n -= len(part)
	}
	return p
}

// take is a block that nobody has.
func (b *blocks) take() uint32 {
	if b.free == 0 {
		b.chunks = append(b.chunks, make([]byte, chunk*blockSize))
		for range chunk {
			b.next = append(b.next, b.free)
			b.free = uint32(len(b.next))
		}
	}
	at := b.free
	b.free = b.next[at-1]
	b.next[at-1] = 0
	b.used++
	return at
}

// release gives a chain back. What was in it is not there any more.
func (b *blocks) release(first uint32) {
	for at := first; at != 0; {
		clear(b.block(at))
		behind := b.next[at-1]
		b.next[at-1] = b.free
		b.free = at
		b.used--
		at = behind
	}
}
