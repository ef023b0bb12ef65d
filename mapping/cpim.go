package mapping

// CPIM is a message/cpim object (RFC 3862): a message with headers of its own around the
// content, from end to end.
type CPIM struct {
	Headers []CPIMHeader // in their order
	Content []Attr       // MIME headers of the content, names in lower case; Content-Type is among them
	Body    []byte
}

// CPIMHeader is a message header (RFC 3862 §3.1).
type CPIMHeader struct {
	Space string // the namespace URI that the name's prefix stands for, "" for the core headers
	Name  string // without prefix; case matters
	Lang  string // the lang parameter, "" if none
	Value string // without escapes
}

// ParseCPIM reads a message/cpim. The error is a *Failure for the sender.
func ParseCPIM(b []byte) (*CPIM, error) { return nil, FailUnsupportedType() }
