package mapping

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// inCPIM is a message/cpim with these headers, "|" between them, and a content with its own.
func inCPIM(headers, content, body string) string {
	lines := func(s string) string {
		if s == "" {
			return ""
		}
		return strings.ReplaceAll(s, "|", "\r\n") + "\r\n"
	}
	return "From: <im:tybalt@example.net>\r\nTo: <im:juliet@example.com>\r\n" + lines(headers) + "\r\n" + lines(content) + "\r\n" + body
}

// CT-06, CT-11, CT-15: what is in a message/cpim, and what may be.
func TestCPIMContents(t *testing.T) {
	const plain = "Content-Type: text/plain"
	wrapped := inCPIM("", plain, "hi")
	for _, c := range []struct {
		name, headers, content, body, want string
		status                             int
	}{
		{"M-032", "", plain, "hi", "hi", 0},
		{"no type", "", "Content-ID: <1>", "hé", "hé", 0},
		{"charset", "", plain + "; charset=koi8-r", "\xf0", "П", 0},
		{"charset nobody knows", "", plain + "; charset=x-no", "hi", "", 415},
		{"not UTF-8", "", plain, "\xff", "", 400},
		{"type", "", "Content-Type: image/png", "hi", "", 415},
		{"broken type", "", "Content-Type: x", "hi", "", 400},
		{"receipt", "", "Content-Type: message/imdn+xml|Content-Disposition: notification", "<imdn/>", "", 0},
		{"receipt in multipart", "", "Content-Type: multipart/mixed;boundary=b", mime("text/plain|a", "message/imdn+xml|<imdn/>"), "", 415},
		{"for something else", "", plain + "|Content-Disposition: notification", "hi", "", 415},
		{"shown", "", plain + "|Content-Disposition: render", "hi", "hi", 0},
		{"deflated", "", plain + "|Content-Encoding: deflate", deflated(t, "deflate", "hi"), "hi", 0},
		{"encoding nobody knows", "", plain + "|Content-Encoding: br", "hi", "", 415},
		{"too much", "", plain + "|Content-Encoding: gzip", deflated(t, "gzip", strings.Repeat("x", maxInflated+1)), "", 413},
		{"base64", "", plain + "|Content-Transfer-Encoding: base64", "aGk=", "hi", 0},
		{"nothing", "", plain, "", "", 0},
		{"multipart", "", "Content-Type: multipart/mixed;boundary=b", mime("text/plain|a", "text/plain|b"), "a\n\nb", 0},
		{"cpim in cpim", "", "Content-Type: message/cpim", wrapped, "", 415},
		{"cpim in multipart in cpim", "", "Content-Type: multipart/mixed;boundary=b", "--b\r\nContent-Type: message/cpim\r\n\r\n" + wrapped + "\r\n--b--", "", 415},
		{"required and understood", "Require: Subject, DateTime", plain, "hi", "hi", 0},
		{"required and unknown", "Require: X", plain, "hi", "", 415},
		{"required of a namespace", "NS: x <urn:example:x>|x.Y: 1|Require: Subject,x.Y", plain, "hi", "", 415},
		{"unknown", "NS: x <urn:example:x>|x.Y: 1|Z: 2|z.Z: 3", plain, "hi", "hi", 0},
		{"M-010", "NS: imdn <urn:ietf:params:imdn>|imdn.Message-ID: Xa9fK2mQ0pLz|imdn.Disposition-Notification: positive-delivery, display", plain, "hi", "hi", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantBody(t, "message/cpim", "", "", inCPIM(c.headers, c.content, c.body), c.want, c.status)
		})
	}
	wantBody(t, "message/cpim", "", "", "\r\nContent-Type: Message/CPIM\r\n\r\n"+wrapped, "hi", 0) // an envelope that says nothing
	wantBody(t, "Message/CPIM;x=y", "gzip", "render", deflated(t, "gzip", wrapped), "hi", 0)
	wantBody(t, "message/cpim", "", "", "no cpim", "", 400)
	part := "--b\r\nContent-Type: message/cpim\r\n\r\n" + wrapped + "\r\n"
	wantBody(t, "multipart/mixed;boundary=b", "", "", part+part+"--b--", "hi\n\nhi", 0)
	wantBody(t, "multipart/signed;boundary=b", "", "", part+"--b\r\n\r\nsignature\r\n--b--", "hi", 0)
}

// M-010: subjects with their languages, which win over the header of the request.
func TestCPIMSubjectsWin(t *testing.T) {
	for _, c := range []struct {
		headers, content, lang string
		want                   []Text
	}{
		{"X: y", "", "", []Text{{"", "of SIP"}}},
		{"Subject:;lang=fr Bonjour", "", "", []Text{{"fr", "Bonjour"}}},
		{"Subject: Hello|Subject:;lang=fr Bonjour|Subject:;lang=FR Salut|Subject: again", "", "", []Text{{"", "Hello"}, {"fr", "Bonjour"}}},
		{"Subject:;lang=fr Bonjour", "Content-Language: fr", "", []Text{{"", "Bonjour"}}},
		{"Subject:;lang=fr Bonjour|Subject: Salut", "", "fr", []Text{{"", "Bonjour"}}},
		{`Subject: two\nlines\u0007`, "", "", []Text{{"", "two lines"}}},
		{"Subject:  |Subject: x", "", "", []Text{{"", "x"}}},
		{"Subject:  ", "", "", []Text{{"", "of SIP"}}},
	} {
		m := sipMessage(inCPIM(c.headers, strings.TrimSuffix("Content-Type: text/plain|"+c.content, "|"), "hi"))
		m.ContentType, m.Subject, m.Lang = "message/cpim", "of SIP", c.lang
		got, err := testRules(t).ToXMPP(m)
		if err != nil || len(got) != 1 || !slices.Equal(got[0].(*XMPPMessage).Subjects, c.want) {
			t.Errorf("%q: %+v, %v, want %+v", c.headers, got, err, c.want)
		}
	}
	// Not more than anybody writes.
	var many strings.Builder
	for i := range 3 * maxSubjects {
		many.WriteString("|Subject:;lang=x-" + strings.Repeat("a", i%8+1) + "-" + strings.Repeat("b", i/8+1) + " s")
	}
	m := sipMessage(inCPIM(many.String()[1:], "Content-Type: text/plain", "hi"))
	m.ContentType = "message/cpim"
	got, err := testRules(t).ToXMPP(m)
	if err != nil || len(got) != 1 || len(got[0].(*XMPPMessage).Subjects) != maxSubjects {
		t.Errorf("%+v, %v", got, err)
	}
}

// DateTime wins over Date, unless it is nonsense. IM-25: Expires counts from Date all the same.
func TestCPIMDateWins(t *testing.T) {
	received := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	date := received.Add(-time.Hour)
	for header, want := range map[string]time.Time{
		"X: y":                                date,
		"DateTime: 2026-01-15T09:50:00Z":      received.Add(-10 * time.Minute),
		"DateTime: 2026-01-15T11:50:00+02:00": received.Add(-10 * time.Minute),
		"DateTime: 2026-01-15T09:59:30Z":      {},
		"DateTime: 2026-01-15T12:00:00Z":      date,
		"DateTime: 1970-01-01T00:00:07Z":      date,
		"DateTime: yesterday":                 date,
	} {
		m := sipMessage(inCPIM(header, "Content-Type: text/plain", "hi"))
		m.ContentType, m.Received, m.Date = "message/cpim", received, date
		got, err := testRules(t).ToXMPP(m)
		if err != nil || len(got) != 1 || got[0].(*XMPPMessage).Delay != want {
			t.Errorf("%s: %+v, %v, want %s", header, got, err, want)
		}
	}
}

// IM-25: a request expires by its own Date; what is in it may be older, or say that it is not.
func TestCPIMDateIsNotThatOfExpires(t *testing.T) {
	received := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		date time.Time
		late bool
		want time.Time // where late ones are delivered
	}{
		{received.Add(-time.Second), false, received.Add(-time.Hour)}, // kept by a server and sent again
		{time.Time{}, false, received.Add(-time.Hour)},
		{received.Add(-time.Minute), true, received.Add(-time.Hour)},
	} {
		for _, refuse := range []bool{false, true} {
			m := sipMessage(inCPIM("DateTime: 2026-01-15T09:00:00Z", "Content-Type: text/plain", "hi"))
			m.ContentType, m.Received, m.Date, m.Expires = "message/cpim", received, c.date, 30*time.Second
			r := testRules(t)
			r.refuseExpired = refuse
			got, err := r.ToXMPP(m)
			if c.late && refuse {
				if f := failure(t, err); f.Status != 480 {
					t.Errorf("%s: %v", c.date, f)
				}
			} else if err != nil || len(got) != 1 || got[0].(*XMPPMessage).Delay != c.want {
				t.Errorf("%s, refused %t: %+v, %v", c.date, refuse, got, err)
			}
		}
	}
}
