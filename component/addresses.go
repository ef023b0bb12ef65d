package component

import (
	"hash/maphash"

	"github.com/stoxgw/stox/mapping"
)

// addresses remembers what addresses of late were parsed to: few are written to or by
// most of the time, and bringing one that is not ASCII into its normal form takes longer
// than all the rest of its stanza. Each address has one place, which the next that belongs
// there takes: where that is nobody can know, so all that somebody can do to others is to
// have theirs parsed. It belongs to the reader.
type addresses struct {
	seed  maphash.Seed
	slots [512]struct {
		text string // as part of a tag it keeps that in memory: see smallTag
		jid  mapping.JID
	}
}

func newAddresses() *addresses { return &addresses{seed: maphash.MakeSeed()} }

// parse is mapping.ParseJID.
func (a *addresses) parse(text string) (mapping.JID, error) {
	if text == "" || len(text) > smallTag {
		return mapping.ParseJID(text)
	}
	slot := &a.slots[maphash.String(a.seed, text)%uint64(len(a.slots))]
	if slot.text == text {
		return slot.jid, nil
	}
	jid, err := mapping.ParseJID(text)
	if err == nil {
		slot.text, slot.jid = text, jid
	}
	return jid, err
}
