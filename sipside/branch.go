package sipside

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"hash/maphash"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// ids makes the ids of transactions. Nobody can guess one: each is of random bytes of the
// system, which are asked for some at a time, as that costs more than all else about an id.
// It is guarded by the lock of its owner.
type ids struct {
	rest []byte
	mem  [512]byte
}

func (r *ids) next() uint64 {
	if len(r.rest) < 8 {
		rand.Read(r.mem[:])
		r.rest = r.mem[:]
	}
	id := binary.BigEndian.Uint64(r.rest)
	clear(r.rest[:8]) // it is the transaction's alone from now on
	r.rest = r.rest[8:]
	return id
}

const branchLen = len(sip.RFC3261BranchMagicCookie) + 24

// appendBranch appends the branch of a transaction: the magic cookie, its 64 random bits,
// and 32 bits of a keyed hash of them, by which a Via of ours is known when it comes back
// (SIP-15, SEC-12).
func (c *client) appendBranch(b []byte, id uint64) []byte {
	var raw [12]byte
	binary.BigEndian.PutUint64(raw[:], id)
	binary.BigEndian.PutUint32(raw[8:], uint32(maphash.Bytes(c.seed, raw[:8])))
	return hex.AppendEncode(append(b, sip.RFC3261BranchMagicCookie...), raw[:])
}

// branch is the same as text.
func (c *client) branch(id uint64) string {
	var b [branchLen]byte
	return string(c.appendBranch(b[:0], id))
}

// ownBranch is parseBranch for bytes that are the branch as we write it; false if they are not.
func (c *client) ownBranch(b []byte) (id uint64, ok bool) {
	const cookie = len(sip.RFC3261BranchMagicCookie)
	if string(b[:cookie]) != sip.RFC3261BranchMagicCookie {
		return 0, false
	}
	return c.readBranch(b[cookie:branchLen])
}

// parseBranch gives the transaction's id if the branch is one of ours.
func (c *client) parseBranch(s string) (id uint64, ok bool) {
	const cookie = len(sip.RFC3261BranchMagicCookie)
	if len(s) != branchLen || !strings.EqualFold(s[:cookie], sip.RFC3261BranchMagicCookie) {
		return 0, false
	}
	return c.readBranch([]byte(s[cookie:]))
}

// readBranch reads what follows the cookie in a branch.
func (c *client) readBranch(digits []byte) (id uint64, ok bool) {
	var b [12]byte
	if _, err := hex.Decode(b[:], digits); err != nil {
		return 0, false
	}
	if uint32(maphash.Bytes(c.seed, b[:8])) != binary.BigEndian.Uint32(b[8:]) {
		return 0, false
	}
	return binary.BigEndian.Uint64(b[:]), true
}
