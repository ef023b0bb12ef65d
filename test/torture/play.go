package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside"
)

// last is the Call-ID of the good request that follows each message.
const last = "good-as-gold"

const good = "MESSAGE sip:juliet@xmpp.example SIP/2.0\r\nVia: SIP/2.0/%s 192.0.2.9;branch=z9hG4bKgold\r\n" +
	"To: <sip:juliet@xmpp.example>\r\nFrom: <sip:romeo@sip.example>;tag=1\r\nCall-ID: " + last +
	"\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"

// bridge takes whatever reaches it.
type bridge struct {
	ua    *sipside.UA
	mu    sync.Mutex
	taken int // but for the good one
}

func (b *bridge) FromSIP(batch []mapping.Parcel[mapping.SIP]) {
	var results []mapping.Result
	for _, p := range batch {
		if m, ok := p.Value.(*mapping.SIPMessage); ok && m.CallID != last {
			b.mu.Lock()
			b.taken++
			b.mu.Unlock()
		}
		results = append(results, mapping.Result{Ref: p.Ref, Outcome: mapping.Outcome{Kind: mapping.Processed}})
	}
	b.ua.Answer(results)
}

func (*bridge) SIPOutcomes([]mapping.Result) {}

// play brings a message from a known peer to a user agent of its own, and says what became
// of it: the answers, or "nothing"; for each that was handed over "delivered"; and over TCP
// what became of the connection, if it does not stay as it was.
func play(network string, message []byte) (string, error) {
	says := fmt.Appendf(nil, good, strings.ToUpper(network))
	net := newScript(message, says)
	b := &bridge{}
	u, err := sipside.New(sipside.Config{
		Listen: []string{network + "://" + self.String()}, SIPDomain: "sip.example", XMPPDomains: []string{"xmpp.example"},
		Peers:   []sipside.Peer{{Name: "torturer", Addresses: []netip.Prefix{netip.PrefixFrom(peer.Addr(), 32)}, Domains: []string{"*"}}},
		Network: net,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		return "", err
	}
	b.ua = u
	if err := u.Listen(); err != nil {
		return "", err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- u.Run(ctx, b) }()
	net.wait(func(heard []byte) bool {
		return network == "tcp" && net.ended || network == "udp" && bytes.Contains(heard, []byte("\r\nCall-ID: "+last+"\r\n"))
	})
	cancel()
	if err := <-ran; err != nil {
		return "", err
	}
	if n := u.Stats().Panics.Load(); n != 0 {
		return "", fmt.Errorf("%d panics", n)
	}
	return b.verdict(net)
}

// verdict puts what was seen into words.
func (b *bridge) verdict(net *script) (string, error) {
	var words []string
	follows := false
	for raw := net.heard; len(raw) > 0; {
		m, n, err := siptest.Parse(raw)
		if err != nil {
			return "", fmt.Errorf("an answer that is no SIP: %w", err)
		}
		raw = raw[n:]
		if m.Get("Call-ID") == last {
			follows = m.Status() == 200
			continue
		}
		words = append(words, fmt.Sprint(m.Status()))
	}
	if len(words) == 0 {
		words = append(words, "nothing")
	}
	for range b.taken {
		words = append(words, "delivered")
	}
	switch {
	case follows:
	case net.toldEnd:
		words = append(words, "waits for the rest")
	default:
		words = append(words, "closed")
	}
	return strings.Join(words, ", "), nil
}
