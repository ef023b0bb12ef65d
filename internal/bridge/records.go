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
