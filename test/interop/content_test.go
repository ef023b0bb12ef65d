//go:build interop

package interop

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/test/stage"
)

// sent is a MESSAGE of a test, and seen what a client makes of the stanza.
type sent struct {
	what    string // for the report
	typ     string // Content-Type
	headers []string
	body    string
	name    string // display name of From

	seen stage.Stanza
}

// crlf ends lines as SIP does.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// contents are messages in every form that SIP has for a text.
func contents(t *testing.T, now time.Time) []sent {
	packed := func(w interface {
		Write([]byte) (int, error)
		Close() error
	}, b *bytes.Buffer, text string) string {
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	var gz, z bytes.Buffer
	hourAgo := now.Add(-time.Hour).UTC().Truncate(time.Second)
	date := "Date: " + hourAgo.Format("Mon, 02 Jan 2006 15:04:05") + " GMT"
	stamp := hourAgo.Format("2006-01-02T15:04:05+00:00")
	return []sent{
		{
			what: "text/html as text and as XHTML-IM", typ: "text/html;charset=utf-8",
			body: `<html><head><title>T</title></head><body onload="x()"><p>Dear <b style="color:red;position:fixed">žluť</b>,<script>alert(1)</script> ` +
				`<a href="javascript:x()">bad</a> <a href="https://example.net/a?b=1&amp;c=2" onclick="y()">good</a></p><ul><li>one<li>two &lt;3</ul><img src="http://example.net/x.png" alt="picture"></body></html>`,
			seen: stage.Stanza{
				Body: "Dear žluť, bad good <https://example.net/a?b=1&c=2>\n\n- one\n- two <3\n\npicture",
				HTML: `<p>Dear <strong><span style="color: red">žluť</span></strong>, bad <a href="https://example.net/a?b=1&amp;c=2">good</a></p><ul><li>one</li><li>two &lt;3</li></ul><p>picture</p>`,
			},
		},
		{
			what: "multipart/alternative", typ: `multipart/alternative;boundary="b 1"`,
			body: crlf("--b 1\nContent-Type: text/plain;charset=utf-8\n\nplain text\n--b 1\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n" +
				"<p>text with <i>em=\nphasis</i></p>\n--b 1\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA\n--b 1--\n"),
			seen: stage.Stanza{Body: "text with emphasis", HTML: "<p>text with <em>emphasis</em></p>"},
		},
		{
			what: "multipart/mixed", typ: "multipart/mixed;boundary=b2",
			body: crlf("--b2\n\nfirst\n--b2\nContent-Type: text/plain;charset=iso-8859-1\nContent-Transfer-Encoding: base64\n\n6Q==\n" +
				"--b2\nContent-Type: image/png\nContent-Disposition: attachment;handling=optional\n\n\x89PNG\x00\n--b2--\n"),
			seen: stage.Stanza{Body: "first\n\né"},
		},
		{
			what: "message/cpim", typ: "message/cpim",
			body: crlf("From: Somebody <im:somebody@elsewhere.test>\nTo: <im:juliet@example.com>\nDateTime: " + hourAgo.Format(time.RFC3339) +
				"\nSubject: Balcony\nNS: imdn <urn:ietf:params:imdn>\nimdn.Message-ID: a1\nimdn.Disposition-Notification: positive-delivery\n\nContent-Type: text/plain;charset=utf-8\n\nin an envelope, žluť"),
			seen: stage.Stanza{Body: "in an envelope, žluť", Subject: "Balcony", Delay: stamp},
		},
		{
			what: "Content-Encoding gzip", typ: "text/plain", headers: []string{"Content-Encoding: gzip"},
			body: packed(gzip.NewWriter(&gz), &gz, "zipped žluť "+strings.Repeat("and long ", 100)),
			seen: stage.Stanza{Body: "zipped žluť " + strings.Repeat("and long ", 100)},
		},
		{
			what: "Content-Encoding deflate", typ: "text/plain", headers: []string{"Content-Encoding: deflate"},
			body: packed(zlib.NewWriter(&z), &z, "deflated žluť"),
			seen: stage.Stanza{Body: "deflated žluť"},
		},
		{what: "charset koi8-r", typ: "text/plain;charset=koi8-r", body: "\xf0\xd2\xc9\xd7\xc5\xd4\x2c\x20\xe4\xd6\xd5\xcc\xd8\xc5\xd4\xd4\xc1", seen: stage.Stanza{Body: "Привет, Джульетта"}},
		{
			what: "characters that XML forbids", typ: "text/plain", body: "bell\x07 escape\x1b[31m nul\x00 end\uffff.",
			seen: stage.Stanza{Body: "bell\ufffd escape\ufffd[31m nul\ufffd end\ufffd."},
		},
		{what: "old Date as a delay", typ: "text/plain", headers: []string{date}, body: "an hour ago", seen: stage.Stanza{Body: "an hour ago", Delay: stamp}},
		{
			what: "Expires that has passed as a delay", typ: "text/plain", headers: []string{date, "Expires: 60"}, body: "expired",
			seen: stage.Stanza{Body: "expired", Delay: stamp},
		},
		{what: "Content-Language", typ: "text/plain", headers: []string{"Content-Language: de-AT, en"}, body: "Servus", seen: stage.Stanza{Body: "Servus", Lang: "de-AT"}},
		{what: "display name as a nick", typ: "text/plain", name: `"Romeo \"M.\" žluť" `, body: "named", seen: stage.Stanza{Body: "named", Nick: `Romeo "M." žluť`}},
		{typ: "text/plain", name: `"Romeo \"M.\" žluť" `, body: "named again", seen: stage.Stanza{Body: "named again"}},
	}
}

// CT-02 to CT-13, IM-15, IM-24, IM-25: every form of a text in SIP passes a real server and
// is what a real client reads; what is in it that must not be is not.
func TestContentFromSIP(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		w := newWorld(t, server)
		w.run(via(sipDomain, 9, "udp"))
		c := w.login(juliet)
		to := netip.MustParseAddrPort(fmt.Sprintf("127.0.0.1:%d", w.stox.SIP))
		messages := contents(t, time.Now())
		for _, transport := range []string{"udp", "tcp"} { // one after the other: they share a client
			peer := siptest.Listen(t, transport)
			branch := func(i int) string { return fmt.Sprint("z9hG4bKc", i) }
			send := func(i int, m sent) {
				// A sender for each transport, since a nick is told once.
				peer.Send(to, siptest.Text(m.body, append([]string{
					"MESSAGE " + w.user(juliet) + " SIP/2.0",
					fmt.Sprintf("Via: SIP/2.0/%s %s;branch=%s;rport", strings.ToUpper(transport), peer.Addr(), branch(i)),
					"Max-Forwards: 70",
					fmt.Sprintf("From: %s<sip:%s@sip.test>;tag=t%d", m.name, transport, i),
					"To: <" + w.user(juliet) + ">",
					fmt.Sprintf("Call-ID: content-%s-%d", transport, i),
					"CSeq: 1 MESSAGE",
					"Content-Type: " + m.typ,
				}, m.headers...)...))
			}
			answered := func(i int, m sent) {
				if answer := peer.Final(branch(i)); answer.Status() != handedOver {
					t.Fatalf("%s: answered %s", m.what, answer.First)
				}
			}
			last := len(messages) - 1 // which is to find that the others have arrived
			for i, m := range messages[:last] {
				send(i, m)
			}
			for i, m := range messages[:last] {
				answered(i, m)
			}
			send(last, messages[last])
			answered(last, messages[last])
			w.fence(c, "after "+transport)
			var got []stage.Stanza
			for _, st := range c.Stanzas() {
				if st.Kind == "message" && st.From == transport+"@"+w.component {
					got = append(got, st)
				}
			}
			if len(got) != len(messages) {
				t.Fatalf("%d messages have come, want %d", len(got), len(messages))
			}
			for i, m := range messages {
				st := got[i]
				is := stage.Stanza{Body: st.Body, Subject: st.Subject, Lang: st.Lang, HTML: st.HTML, Nick: st.Nick, Delay: st.Delay}
				if m.seen.Lang == "" && st.Lang == "en" {
					is.Lang = "" // that of the stream, which servers write
				}
				if is != m.seen {
					t.Errorf("%s: the client reads\n%+v, want\n%+v, of\n%s", m.what, is, m.seen, st.Raw)
				}
				if m.what != "" {
					w.crossed(passage{stage.XMPPClientName(), roleClient, transport, toXMPP, "arrived"}, m.what)
				}
			}
		}
	})
}
