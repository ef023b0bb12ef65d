package bridge

// pending has the requests from SIP whose outcome is not known, by their identity. Its keys
// are keyed hashes (ids.identity): they are spread evenly, and nobody can choose them. So
// they need no further hash, and a bucket has one request as a rule. The zero value is empty.
type pending struct {
	buckets []*incoming // a power of two; the others of a bucket follow by incoming.next
	n       int
}

const minPending = 64 // buckets

// bucket is where a key is, which seenTable has by other octets.
func (p *pending) bucket(key stanzaKey) **incoming {
	return &p.buckets[(uint(key[12])|uint(key[13])<<8|uint(key[14])<<16)&uint(len(p.buckets)-1)]
}

// get is the request with that key, nil if there is none.
func (p *pending) get(key stanzaKey) *incoming {
	if p.n == 0 {
		return nil
	}
	in := *p.bucket(key)
	for in != nil && in.key != key {
		in = in.next
	}
	return in
}

// add takes a request, of whose key there is none.
func (p *pending) add(in *incoming) {
	if p.n >= len(p.buckets) {
		p.grow()
	}
	p.n++
	at := p.bucket(in.key)
	in.next, *at = *at, in
}

// remove takes out a request that was added.
func (p *pending) remove(in *incoming) {
	if p.n == 0 {
		return
	}
	for at := p.bucket(in.key); *at != nil; at = &(*at).next {
		if *at == in {
			*at, in.next = in.next, nil
			p.n--
			return
		}
	}
}

func (p *pending) grow() {
	old := p.buckets
	p.buckets = make([]*incoming, max(minPending, 2*len(old)))
	for _, in := range old {
		for in != nil {
			next := in.next
			at := p.bucket(in.key)
			in.next, *at = *at, in
			in = next
		}
	}
}
