package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/stoxgw/stox/mapping"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	ours   = netip.MustParseAddrPort("192.0.2.1:5060")
	theirs = netip.MustParseAddrPort("192.0.2.10:5060")
	server = netip.MustParseAddrPort("127.0.0.1:5347")
)

// book is a log whose records are looked at.
type book struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.Write(p)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.String()
}

// record is a line of the log.
type record struct {
	Msg, Side, Peer, Transport, Packet string
}

func (b *book) records(t *testing.T) (all []record) {
	t.Helper()
	for line := range strings.Lines(b.String()) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, r)
	}
	return all
}

// packets are those that were logged.
func (b *book) packets(t *testing.T) (all []record) {
	t.Helper()
	for _, r := range b.records(t) {
		if r.Side != "" {
			all = append(all, r)
		}
	}
	return all
}

// directory is that of a gateway sip.example.com for example.com and example.net.
func directory(t *testing.T) Directory {
	t.Helper()
	rules, err := mapping.NewRules(mapping.RulesConfig{
		GatewayDomain: "sip.example.com", DefaultSIPDomain: "example.net", UserDomains: []string{"example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return Directory{
		SIP: func(j mapping.JID) (mapping.URI, bool) {
			if u, err := rules.SIPAddress(j); err == nil {
				return u, true
			}
			u, err := rules.SIPIdentity(j, "")
			return u, err == nil
		},
		XMPP: func(u mapping.URI) (mapping.JID, bool) {
			j, err := rules.XMPPAddress(u)
			return j, err == nil
		},
	}
}

// room is one whose log is a book. run shows what has been taken.
func room(t *testing.T) (r *Room, b *book, run func()) {
	t.Helper()
	b = new(book)
	r = New(directory(t), slog.New(slog.NewJSONHandler(b, nil)))
	return r, b, func() {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.Run(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// message is a MESSAGE from and to somebody, with further headers.
func message(from, to, headers, body string) []byte {
	return []byte("MESSAGE " + to + " SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1\r\nFrom: <" + from + ">;tag=1\r\nTo: <" + to +
		">\r\nCall-ID: a84b4c76e66710\r\nCSeq: 1 MESSAGE\r\n" + headers + "Content-Type: text/plain\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}
