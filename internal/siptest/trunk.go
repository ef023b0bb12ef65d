package siptest

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// TrunkOptions say what a Trunk is like. The zero value of an option is the usual trunk.
type TrunkOptions struct {
	Domain            string // of its addresses, and the realm
	Account, Password string
	Numbers           []string // of the account, ten digits each

	Proxy     bool          // texts are challenged as a proxy does: 407
	NonceUses int           // a nonce is stale after so many uses; 0: never
	Grant     int           // seconds that a registration lasts at most; 600 if 0
	Sulks     time.Duration // so long after a content type that it does not take it refuses all texts
	ToAccount bool          // the contact that it sends to has the name of the account, not the number
	ToHost    string        // the host of To in what it sends; Domain if ""

	// Static is the contact of a gateway that the trunk knows by its address: it asks for no
	// credentials and no registration.
	Static string
}

// Trunk is what SMS providers run: a registrar and an SMS service of ten-digit numbers for
// one account. It takes text/plain of 160 characters from where the account is registered,
// from one of its numbers, to North American numbers; nothing else.
//
// It counts and computes for itself, digest included, so that it finds the mistakes of the
// code under test instead of making them.
type Trunk struct {
	opt TrunkOptions

	mu      sync.Mutex // guards the following
	binding *Binding
	texts   []TrunkText
	refused []string // what was refused, and why
	issued  map[string]*trunkNonce
	nonces  int
	sent    int
	sulking time.Time // until then
}

// Binding is a registration.
type Binding struct {
	Contact string // the URI
	Source  netip.AddrPort
	Until   time.Time
	CallID  string
	CSeq    int
	Times   int // how often it was made or renewed
}

// TrunkText is a text that the trunk has taken.
type TrunkText struct{ From, To, Body, CallID string }

type trunkNonce struct{ uses, count int }

// NewTrunk makes a trunk with nobody registered.
func NewTrunk(opt TrunkOptions) *Trunk {
	if opt.Grant == 0 {
		opt.Grant = 600
	}
	if opt.ToHost == "" {
		opt.ToHost = opt.Domain
	}
	t := &Trunk{opt: opt, issued: make(map[string]*trunkNonce)}
	if opt.Static != "" {
		t.binding = &Binding{Contact: opt.Static, Until: time.Now().AddDate(100, 0, 0)}
	}
	return t
}

// Texts are those that it has taken.
func (t *Trunk) Texts() []TrunkText {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.texts)
}

// Refused is what it has refused otherwise than by asking for credentials, a line each.
func (t *Trunk) Refused() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.refused)
}

// Binding is the registration; ok is false if there is none, or it has ended.
func (t *Trunk) Binding() (b Binding, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.registered() {
		return b, false
	}
	return *t.binding, true
}

func (t *Trunk) registered() bool { return t.binding != nil && time.Now().Before(t.binding.Until) }

// Forget ends the registration, as a restart of the trunk does, and all nonces.
func (t *Trunk) Forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.binding = nil
	clear(t.issued)
}

// Text is the request that brings a text from a number of ten digits to one of the account:
// it goes to the contact that is registered, over the flow that it was registered over. It
// has a branch, Call-ID and tag of its own.
func (t *Trunk) Text(network, from, to, body string) (raw string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.registered() {
		return "", fmt.Errorf("siptest: nobody is registered at the trunk")
	}
	uri := t.binding.Contact
	if user, rest, ok := strings.Cut(strings.TrimPrefix(uri, "sip:"), "@"); ok && !t.opt.ToAccount && user != to {
		uri = "sip:" + to + "@" + rest
	}
	t.sent++
	return Text(body,
		"MESSAGE "+uri+" SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/%s pop1.%s;rport;branch=z9hG4bKtrunk%d", strings.ToUpper(network), t.opt.Domain, t.sent),
		"Max-Forwards: 70",
		fmt.Sprintf("From: %q <sip:%s@%s>;tag=as%d", from, from, t.opt.Domain, t.sent),
		fmt.Sprintf("To: <sip:%s@%s>", to, t.opt.ToHost),
		fmt.Sprintf("Call-ID: trunk-%d@%s", t.sent, t.opt.Domain),
		"CSeq: 102 MESSAGE",
		"Content-Type: text/plain;charset=UTF-8",
	), nil
}

// Answer takes a request and gives the raw response.
func (t *Trunk) Answer(m *Message) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch m.Method() {
	case "OPTIONS":
		return m.Reply(200, "OK", "Allow: REGISTER, OPTIONS, MESSAGE")
	case "REGISTER":
		if ask := t.challenge(m, "WWW-Authenticate", "Authorization"); ask != "" {
			return m.Reply(401, "Unauthorized", ask)
		}
		return t.register(m)
	case "MESSAGE":
		if t.opt.Proxy {
			if ask := t.challenge(m, "Proxy-Authenticate", "Proxy-Authorization"); ask != "" {
				return m.Reply(407, "Proxy Authentication Required", ask)
			}
		} else if ask := t.challenge(m, "WWW-Authenticate", "Authorization"); ask != "" {
			return m.Reply(401, "Unauthorized", ask)
		}
		return t.message(m)
	}
	return t.refuse(m, 405, "Method Not Allowed")
}

func (t *Trunk) refuse(m *Message, status int, reason string) string {
	t.refused = append(t.refused, fmt.Sprintf("%d %s: %s", status, reason, m.First))
	return m.Reply(status, reason)
}

var (
	contactExpires = regexp.MustCompile(`(?i);\s*expires=(\d+)`)
	trunkURI       = regexp.MustCompile(`<?(sips?:[^>;?\s]+[^>\s]*)>?`)
	northAmerican  = regexp.MustCompile(`^sip:([2-9]\d{9})@`)
	userOf         = regexp.MustCompile(`<sip:([^@>;]+)@`)
	authParam      = regexp.MustCompile(`(\w+)=(?:"([^"]*)"|([^\s,"]+))`)
)

func (t *Trunk) register(m *Message) string {
	if want := "REGISTER sip:" + t.opt.Domain; !strings.HasPrefix(m.First, want) || strings.Contains(m.First, "@") {
		return t.refuse(m, 404, "Not Found")
	}
	if to := userOf.FindStringSubmatch(m.Get("To")); to == nil || to[1] != t.opt.Account {
		return t.refuse(m, 403, "Forbidden")
	}
	contacts := m.All("Contact")
	if len(contacts) == 0 {
		return t.granted(m)
	}
	seconds, _ := strconv.Atoi(m.Get("Expires"))
	if p := contactExpires.FindStringSubmatch(contacts[0]); p != nil {
		seconds, _ = strconv.Atoi(p[1])
	}
	number, _, _ := strings.Cut(m.Get("CSeq"), " ")
	cseq, _ := strconv.Atoi(number)
	b := t.binding
	if b != nil && b.CallID == m.Get("Call-ID") && cseq <= b.CSeq {
		return t.refuse(m, 500, "CSeq is not higher")
	}
	if contacts[0] == "*" || seconds == 0 {
		t.binding = nil
		return m.Reply(200, "OK")
	}
	uri := trunkURI.FindStringSubmatch(contacts[0])
	if len(contacts) != 1 || uri == nil {
		return t.refuse(m, 400, "Contact")
	}
	times := 0
	if t.registered() {
		times = b.Times
	}
	t.binding = &Binding{Contact: uri[1], Source: m.Source, CallID: m.Get("Call-ID"), CSeq: cseq, Times: times + 1,
		Until: time.Now().Add(time.Duration(min(seconds, t.opt.Grant)) * time.Second)}
	return t.granted(m)
}

// granted answers a REGISTER with the binding that there is.
func (t *Trunk) granted(m *Message) string {
	if !t.registered() {
		return m.Reply(200, "OK")
	}
	left := int(time.Until(t.binding.Until) / time.Second)
	return m.Reply(200, "OK", fmt.Sprintf("Contact: <%s>;expires=%d", t.binding.Contact, left), fmt.Sprintf("Expires: %d", left))
}

func (t *Trunk) message(m *Message) string {
	_, uri, _ := strings.Cut(m.First, " ")
	to := northAmerican.FindStringSubmatch(uri)
	from := userOf.FindStringSubmatch(m.Get("From"))
	media, _, _ := strings.Cut(m.Get("Content-Type"), ";")
	switch {
	case !t.registered() || t.opt.Static == "" && t.binding.Source != m.Source:
		return t.refuse(m, 403, "Forbidden")
	case !strings.EqualFold(strings.TrimSpace(media), "text/plain"):
		t.sulking = time.Now().Add(t.opt.Sulks)
		return t.refuse(m, 415, "Unsupported Media Type")
	case time.Now().Before(t.sulking):
		return t.refuse(m, 503, "Service Unavailable")
	case to == nil:
		return t.refuse(m, 404, "Not Found")
	case from == nil || !slices.Contains(t.opt.Numbers, from[1]):
		return t.refuse(m, 403, "From is no number of the account")
	case utf8.RuneCount(m.Body) > 160:
		return t.refuse(m, 413, "Message Too Large")
	case len(m.Body) == 0:
		return t.refuse(m, 400, "Empty")
	}
	t.texts = append(t.texts, TrunkText{From: from[1], To: to[1], Body: string(m.Body), CallID: m.Get("Call-ID")})
	return m.Reply(202, "Accepted")
}

// challenge looks at the credentials of a request (RFC 2617, as Asterisk does it: MD5, qop
// auth). It gives the header that asks for them, "" if they are right.
func (t *Trunk) challenge(m *Message, ask, header string) string {
	if t.opt.Static != "" {
		return ""
	}
	stale := ""
	if value := m.Get(header); strings.HasPrefix(value, "Digest ") {
		p := make(map[string]string)
		for _, f := range authParam.FindAllStringSubmatch(value, -1) {
			p[f[1]] = f[2] + f[3]
		}
		_, uri, _ := strings.Cut(m.First, " ")
		uri, _, _ = strings.Cut(uri, " ")
		a1 := trunkMD5(t.opt.Account, t.opt.Domain, t.opt.Password)
		want := trunkMD5(a1, p["nonce"], p["nc"], p["cnonce"], "auth", trunkMD5(m.Method(), uri))
		n := t.issued[p["nonce"]]
		count, err := strconv.ParseUint(p["nc"], 16, 32)
		switch {
		case p["response"] != want || p["username"] != t.opt.Account || p["realm"] != t.opt.Domain || p["uri"] != uri ||
			p["qop"] != "auth" || p["cnonce"] == "" || len(p["nc"]) != 8 || err != nil:
			t.refused = append(t.refused, "wrong credentials: "+m.First)
		case n == nil || t.opt.NonceUses > 0 && n.uses >= t.opt.NonceUses:
			stale = ", stale=true"
		case int(count) <= n.count:
			t.refused = append(t.refused, "replay: "+m.First)
		default:
			n.uses++
			n.count = int(count)
			return ""
		}
	}
	t.nonces++
	nonce := trunkMD5(t.opt.Domain, strconv.Itoa(t.nonces))[:8]
	t.issued[nonce] = &trunkNonce{}
	return fmt.Sprintf(`%s: Digest realm="%s", nonce="%s", algorithm=MD5, qop="auth"%s`, ask, t.opt.Domain, nonce, stale)
}

func trunkMD5(parts ...string) string {
	sum := md5.Sum([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(sum[:])
}
