package sipside

import (
	"strings"

	"github.com/emiago/sipgo/sip"
)

// fields are the headers that are looked at, as text. Names are matched without
// regard to case, compact forms are known (SIP-02).
type fields struct {
	vias                   []string // one per row, in order
	from, to, callID, cseq string
	maxForwards            string
	contentType, encoding  string
	disposition            string
	date, expires          string
	subject, language      string
	require                []string
	contacts, warnings     []string
	authorization          []string
	asserted, privacy      []string // P-Asserted-Identity, Privacy
	accept                 string
	retryAfter, timestamp  string
	wwwAuth, proxyAuth     []string // challenges, one per row
	authInfo, proxyInfo    []string // Authentication-Info, Proxy-Authentication-Info
	agent                  string   // User-Agent, of answers also Server
	minExpires, flowTimer  string
	unsupported            []string
	event                  *eventFields // headers of requests about events, nil if there are none
	repeated               bool         // a header that may stand once stands twice
}

// eventFields are headers of requests about events and their answers (RFC 6665, RFC 3903),
// one value per row.
type eventFields struct{ event, state, ifMatch, etag, recordRoute []string }

// ofEvents gives the place for them.
func (f *fields) ofEvents() *eventFields {
	if f.event == nil {
		f.event = new(eventFields)
	}
	return f.event
}

// readFields collects the headers of a message.
func readFields(headers []sip.Header) (f fields) {
	for _, h := range headers {
		if _, ok := h.(*sip.ContentLengthHeader); ok {
			continue
		}
		var buf [maxHeaderName]byte
		if name := h.Name(); len(name) <= len(buf) {
			if is := headerOf(append(buf[:0], name...)); is != otherHeader {
				f.add(is, h.Value())
			}
		}
	}
	return f
}

// add takes the value of one more header.
func (f *fields) add(is header, v string) {
	switch is {
	case viaHeader:
		if strings.TrimSpace(v) != "" { // a blank one names nobody to answer to
			f.vias = append(f.vias, v)
		}
	case fromHeader:
		f.once(&f.from, v)
	case toHeader:
		f.once(&f.to, v)
	case callIDHeader:
		f.once(&f.callID, v)
	case cseqHeader:
		f.once(&f.cseq, v)
	case maxForwardsHeader:
		f.once(&f.maxForwards, v)
	case contentTypeHeader:
		f.once(&f.contentType, v)
	case encodingHeader:
		f.encoding = strings.TrimPrefix(f.encoding+","+v, ",")
	case dispositionHeader:
		f.once(&f.disposition, v)
	case dateHeader:
		first(&f.date, v)
	case expiresHeader:
		first(&f.expires, v)
	case subjectHeader:
		f.once(&f.subject, v)
	case languageHeader:
		first(&f.language, v)
	case requireHeader:
		f.require = append(f.require, v)
	case contactHeader:
		f.contacts = append(f.contacts, v)
	case warningHeader:
		f.warnings = append(f.warnings, v)
	case wwwAuthHeader:
		f.wwwAuth = append(f.wwwAuth, v)
	case proxyAuthHeader:
		f.proxyAuth = append(f.proxyAuth, v)
	case authInfoHeader:
		f.authInfo = append(f.authInfo, v)
	case proxyInfoHeader:
		f.proxyInfo = append(f.proxyInfo, v)
	case authorizationHeader:
		f.authorization = append(f.authorization, v)
	case assertedHeader:
		f.asserted = append(f.asserted, v)
	case privacyHeader:
		f.privacy = append(f.privacy, v)
	case acceptHeader:
		f.accept = strings.TrimPrefix(f.accept+", "+v, ", ")
	case agentHeader:
		f.agent = v
	case minExpiresHeader:
		f.minExpires = v
	case flowTimerHeader:
		f.flowTimer = v
	case unsupportedHeader:
		f.unsupported = append(f.unsupported, v)
	case retryAfterHeader:
		f.retryAfter = v
	case timestampHeader:
		f.timestamp = v
	case eventHeader:
		e := f.ofEvents()
		e.event = append(e.event, v)
	case stateHeader:
		e := f.ofEvents()
		e.state = append(e.state, v)
	case ifMatchHeader:
		e := f.ofEvents()
		e.ifMatch = append(e.ifMatch, v)
	case etagHeader:
		e := f.ofEvents()
		e.etag = append(e.etag, v)
	case recordRouteHeader:
		e := f.ofEvents()
		e.recordRoute = append(e.recordRoute, v)
	}
}

// once is for what may stand once.
func (f *fields) once(p *string, v string) {
	f.repeated = f.repeated || *p != ""
	*p = v
}

// first is for what only informs. A proxy may add such a header behind the sender's own.
func first(p *string, v string) {
	if *p == "" {
		*p = v
	}
}
