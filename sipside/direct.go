package sipside

// direct deals with a message that is understood without sipgo's parser: a plain MESSAGE,
// or a plain response. It reports false for all others, with nothing done; a keepalive is
// among them.
func (rd *reader) direct(msg []byte) bool { return false }
