package bridge

// Records of messages are used again: there is one for every message, and nobody has it any
// more once that has ended as nearly all do. Of what ends otherwise, such as a message whose
// sender has to be told, the record is left to the collector, since others may still look at it.

// newIncoming is an empty record.
func (b *Bridge) newIncoming() *incoming {
	if in, _ := b.incomings.Get().(*incoming); in != nil {
		return in
	}
	return new(incoming)
}

// newOutbound is an empty record.
func (b *Bridge) newOutbound() *outbound {
	if o, _ := b.outbounds.Get().(*outbound); o != nil {
		return o
	}
	return new(outbound)
}

// spend notes that o has been delivered. Its record is used again as soon as it is not in
// Bridge.unjournaled either. b.mu is held.
func (b *Bridge) spend(out *work, o *outbound) {
	if len(b.refused)+len(b.waiting) > 0 { // it may be among them
		return
	}
	if o.spent = true; !o.unkept {
		out.sentOut = append(out.sentOut, o)
	}
}

// recycle takes the records that nobody has any more. It needs no lock.
func (b *Bridge) recycle(w *work) {
	for _, in := range w.answered {
		*in = incoming{}
		b.incomings.Put(in)
	}
	for _, o := range w.sentOut {
		*o = outbound{}
		b.outbounds.Put(o)
	}
}

// claim is what a side is given as the Ref of a value, and is never used again: it leads to the
// record until the outcome is there. A second outcome, which should not come, leads nowhere,
// and not to the message that has the record by then.
type claim[T any] struct{ on *T }

// claims are made many at a time. b.mu guards them.
type claims[T any] []claim[T]

const claimsAtOnce = 64

// to makes a claim to a record.
func (c *claims[T]) to(record *T) *claim[T] {
	if len(*c) == 0 {
		*c = make([]claim[T], claimsAtOnce)
	}
	one := &(*c)[0]
	*c = (*c)[1:]
	one.on = record
	return one
}

// end is told that the outcome is there. It returns the record, nil if one was there before.
func (c *claim[T]) end() (record *T) {
	record, c.on = c.on, nil
	return record
}

// toldTwice is told that a second outcome has come, which does not count.
func (b *Bridge) toldTwice(dir string) {
	b.log.Error("a second outcome of a message is dropped; this is a fault of stox", "dir", dir)
}
