package sipside

// header is one of the headers that are looked at.
type header uint8

const (
	otherHeader header = iota // none of them
	viaHeader
	fromHeader
	toHeader
	callIDHeader
	cseqHeader
	contentLength
	maxForwardsHeader
	contentTypeHeader
	encodingHeader
	dispositionHeader
	dateHeader
	expiresHeader
	subjectHeader
	languageHeader
	requireHeader
	contactHeader
	warningHeader
	wwwAuthHeader
	proxyAuthHeader
	authInfoHeader
	proxyInfoHeader
	authorizationHeader
	assertedHeader
	privacyHeader
	acceptHeader
	agentHeader
	minExpiresHeader
	flowTimerHeader
	unsupportedHeader
	retryAfterHeader
	timestampHeader
	eventHeader
	stateHeader
	ifMatchHeader
	etagHeader
	recordRouteHeader
)

// maxHeaderName is the length of the longest of their names.
const maxHeaderName = len("proxy-authentication-info")

// headerOf tells which header has a name. Names are matched without regard to case, compact
// forms are known (SIP-02).
func headerOf(name []byte) header {
	switch string(name) { // as nearly all write them
	case "Via":
		return viaHeader
	case "From":
		return fromHeader
	case "To":
		return toHeader
	case "Call-ID":
		return callIDHeader
	case "CSeq":
		return cseqHeader
	case "Content-Length":
		return contentLength
	case "Content-Type":
		return contentTypeHeader
	case "Max-Forwards":
		return maxForwardsHeader
	case "Server", "User-Agent":
		return agentHeader
	}
	var buf [maxHeaderName]byte
	if len(name) > len(buf) {
		return otherHeader
	}
	lower := buf[:len(name)]
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	switch string(lower) {
	case "via", "v":
		return viaHeader
	case "from", "f":
		return fromHeader
	case "to", "t":
		return toHeader
	case "call-id", "i":
		return callIDHeader
	case "cseq":
		return cseqHeader
	case "content-length", "l":
		return contentLength
	case "max-forwards":
		return maxForwardsHeader
	case "content-type", "c":
		return contentTypeHeader
	case "content-encoding", "e":
		return encodingHeader
	case "content-disposition":
		return dispositionHeader
	case "date":
		return dateHeader
	case "expires":
		return expiresHeader
	case "subject", "s":
		return subjectHeader
	case "content-language":
		return languageHeader
	case "require":
		return requireHeader
	case "contact", "m":
		return contactHeader
	case "warning":
		return warningHeader
	case "www-authenticate":
		return wwwAuthHeader
	case "proxy-authenticate":
		return proxyAuthHeader
	case "authentication-info":
		return authInfoHeader
	case "proxy-authentication-info":
		return proxyInfoHeader
	case "authorization":
		return authorizationHeader
	case "p-asserted-identity":
		return assertedHeader
	case "privacy":
		return privacyHeader
	case "accept":
		return acceptHeader
	case "user-agent", "server":
		return agentHeader
	case "min-expires":
		return minExpiresHeader
	case "flow-timer":
		return flowTimerHeader
	case "unsupported":
		return unsupportedHeader
	case "retry-after":
		return retryAfterHeader
	case "timestamp":
		return timestampHeader
	case "event", "o":
		return eventHeader
	case "subscription-state":
		return stateHeader
	case "sip-if-match":
		return ifMatchHeader
	case "sip-etag":
		return etagHeader
	case "record-route":
		return recordRouteHeader
	}
	return otherHeader
}
