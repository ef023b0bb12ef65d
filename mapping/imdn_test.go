package mapping

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const imdnHead = `<?xml version="1.0" encoding="UTF-8"?><imdn xmlns="urn:ietf:params:xml:ns:imdn">`

// IM-41, IM-42, SEC-26: what notifications say, in the forms in which they come.
func TestReadIMDN(t *testing.T) {
	id := "<message-id>a1</message-id>"
	status := func(kind, s string) string { return "<" + kind + "><status><" + s + "/></status></" + kind + ">" }
	for name, c := range map[string]struct {
		doc  string
		want string // what is said, or the error
	}{
		"delivered":            {imdnHead + id + status("delivery-notification", "delivered") + "</imdn>", "a1 positive-delivery"},
		"displayed":            {imdnHead + id + status("display-notification", "displayed") + "</imdn>", "a1 display"},
		"failed":               {imdnHead + id + status("delivery-notification", "failed") + "</imdn>", "a1 negative-delivery"},
		"error":                {imdnHead + id + status("delivery-notification", "error") + "</imdn>", "a1 negative-delivery"},
		"forbidden":            {imdnHead + id + status("delivery-notification", "forbidden") + "</imdn>", "a1 "},
		"display forbidden":    {imdnHead + id + status("display-notification", "forbidden") + "</imdn>", "a1 "},
		"display error":        {imdnHead + id + status("display-notification", "error") + "</imdn>", "a1 "},
		"processed":            {imdnHead + id + status("processing-notification", "processed") + "</imdn>", "a1 "},
		"crossed":              {imdnHead + id + status("display-notification", "delivered") + "</imdn>", "a1 "},
		"no status":            {imdnHead + id + "<delivery-notification><delivered/></delivery-notification></imdn>", "a1 "},
		"two statuses":         {imdnHead + id + "<delivery-notification><status><failed/><delivered/></status></delivery-notification></imdn>", "a1 negative-delivery"},
		"no id":                {imdnHead + status("delivery-notification", "delivered") + "</imdn>", " positive-delivery"},
		"two ids":              {imdnHead + id + "<message-id>b</message-id></imdn>", "a1 "},
		"id of spaces":         {imdnHead + "<message-id>a b</message-id></imdn>", " "},
		"id of no-break space": {imdnHead + "<message-id>\u00a0</message-id></imdn>", " "},
		"id in lines":          {imdnHead + "<message-id>\r\n  a1\r\n</message-id></imdn>", "a1 "},
		"id with entities":     {imdnHead + "<message-id>a&amp;&#x31;</message-id></imdn>", "a&1 "},
		"id in CDATA":          {imdnHead + "<message-id><![CDATA[<a]]></message-id></imdn>", "<a "},
		"long id":              {imdnHead + "<message-id>" + strings.Repeat("a", 256) + "</message-id></imdn>", " "},
		"id elsewhere":         {imdnHead + "<x>" + id + "</x></imdn>", " "},
		"prefix":               {`<i:imdn xmlns:i="urn:ietf:params:xml:ns:imdn"><i:message-id>a1</i:message-id>` + strings.NewReplacer("</", "</i:", "<", "<i:").Replace(status("delivery-notification", "delivered")) + "</i:imdn>", "a1 positive-delivery"},
		"no namespace":         {"<imdn>" + id + status("delivery-notification", "delivered") + "</imdn>", "a1 positive-delivery"},
		"other namespace":      {imdnHead + id + `<x:delivery-notification xmlns:x="urn:x"><status><delivered/></status></x:delivery-notification></imdn>`, "a1 "},
		"more":                 {imdnHead + `<x:y xmlns:x="urn:x"><message-id>b</message-id></x:y>` + id + `<delivery-notification><status><x/><failed/></status><r:reason xmlns:r="http://www.linphone.org/xsds/imdn.xsd" code="488">Not</r:reason></delivery-notification></imdn>`, "a1 negative-delivery"},
		"another document":     {`<presence/>`, imdnDocument.other.Error()},
		"nothing":              {"", imdnDocument.other.Error()},
		"text":                 {"hi", imdnDocument.other.Error()},
		"two documents":        {"<imdn/><imdn/>", imdnDocument.other.Error()},
		"half":                 {imdnHead + id, imdnDocument.syntax.Error()},
		"DTD":                  {"<!DOCTYPE imdn><imdn/>", imdnDocument.syntax.Error()},
		"entity":               {"<imdn>&x;</imdn>", imdnDocument.syntax.Error()},
		"not UTF-8":            {"<imdn>\xff</imdn>", imdnDocument.syntax.Error()},
		"other charset":        {`<?xml version="1.0" encoding="ISO-8859-1"?><imdn/>`, imdnDocument.syntax.Error()},
		"deep":                 {"<imdn>" + strings.Repeat("<a>", imdnDocument.depth) + strings.Repeat("</a>", imdnDocument.depth) + "</imdn>", imdnDocument.big.Error()},
		"wide":                 {"<imdn>" + strings.Repeat("<a/>", imdnDocument.nodes) + "</imdn>", imdnDocument.big.Error()},
		"long":                 {"<imdn>" + strings.Repeat(" ", imdnDocument.bytes) + "</imdn>", imdnDocument.big.Error()},
	} {
		n, err := readIMDN([]byte(c.doc))
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = n.messageID + " " + n.says.String()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// IM-40, IM-43: what asks for notifications, and what cannot have any.
func TestIMDNRequest(t *testing.T) {
	const date, id, ask = "DateTime: 2026-01-15T10:00:00Z\n", "imdn.Message-ID: a1\n", "imdn.Disposition-Notification: positive-delivery, display\n"
	for wire, want := range map[string]string{
		date + id + ask: "a1 2026-01-15T10:00:00Z positive-delivery, display  []",
		date + id + "imdn.Disposition-Notification: Negative-Delivery;x=y,processing\n":                                                                 "a1 2026-01-15T10:00:00Z negative-delivery  []",
		"DateTime: 2026-01-15T10:00:00.25+01:00\n" + id + ask:                                                                                           "a1 2026-01-15T10:00:00.25+01:00 positive-delivery, display  []",
		date + id + ask + "imdn.Original-To: <im:a@example.com>\nimdn.Original-To: <im:b@example.com>":                                                  "a1 2026-01-15T10:00:00Z positive-delivery, display im:a@example.com []",
		date + id + ask + "imdn.IMDN-Record-Route:  <sip:p@example.net> \nimdn.IMDN-Record-Route: \"x\" <sip:q@example.net>\nimdn.IMDN-Record-Route: z": `a1 2026-01-15T10:00:00Z positive-delivery, display  [<sip:p@example.net> "x" <sip:q@example.net>]`,
		date + id + ask + strings.Repeat("imdn.IMDN-Record-Route: <sip:p@example.net>\n", 9):                                                            "a1 2026-01-15T10:00:00Z positive-delivery, display  [" + strings.TrimSpace(strings.Repeat("<sip:p@example.net> ", maxIMDNRoute)) + "]",
		date + id:                              "nothing",
		id + ask:                               "nothing",
		"DateTime: yesterday\n" + id + ask:     "nothing",
		date + ask:                             "nothing",
		date + ask + "imdn.Message-ID: a b":    "nothing",
		date + ask + "imdn.Message-ID: \u00a0": "nothing",
		date + ask + "imdn.Message-ID: " + strings.Repeat("a", maxIMDNID+1): "nothing",
		date + id + "imdn.Disposition-Notification: processing":             "nothing",
		date + "Message-ID: a1\nDisposition-Notification: display":          "nothing",
	} {
		got := "nothing"
		if q := mustParseCPIM(t, crlf(strings.TrimSuffix(wire, "\n"))+"\r\n\r\nContent-Type: text/plain\r\n\r\nhi").imdnRequest(); q != nil {
			got = fmt.Sprintf("%s %s %s %s %s", q.MessageID, q.DateTime, q.Wants, q.OriginalTo, q.Route)
		}
		if got != want {
			t.Errorf("%s\n%s, want %s", wire, got, want)
		}
	}
}

// IM-45: what is notified of a notification is nothing, whatever it asks for.
func TestNoNotificationOfNotifications(t *testing.T) {
	m := &SIPMessage{RequestURI: MustParseURI("sip:juliet@example.com"), From: MustParseURI("sip:romeo@example.net"), CallID: "c", ContentType: TypeCPIM,
		Body: []byte(inCPIM("DateTime: 2026-01-15T10:00:00Z|imdn.Message-ID: a|imdn.Disposition-Notification: positive-delivery", "Content-Type: message/imdn+xml",
			imdnHead+"<message-id>b</message-id></imdn>"))}
	out, err := testRules(t).ToXMPP(m)
	if err != nil || len(out) != 1 {
		t.Fatal(out, err)
	}
	if n, ok := out[0].(*IMDN); !ok || n.MessageID != "b" {
		t.Errorf("%#v", out[0])
	}
}

// IM-44, SEC-27: a notification goes to who has asked for it, by the way that the message
// names if that is in the same domain.
func TestNotifyRoute(t *testing.T) {
	to := MustParseURI("sip:romeo@example.net")
	for route, want := range map[string]string{
		"":                               "sip:romeo@example.net",
		"<sip:example.net>":              "sip:example.net",
		`"Agent" <sip:example.net;x=y>`:  "sip:example.net",
		"<sip:agent@example.net>":        "sip:romeo@example.net", // whose telephone is that?
		"<sip:+12125550123@example.net>": "sip:romeo@example.net",
		"<sip:example.net:9>":            "sip:romeo@example.net",
		"<sip:victim@example.org>":       "sip:romeo@example.net",
		"<sips:agent@example.net>":       "sip:romeo@example.net",
		"<im:agent@example.net>":         "sip:romeo@example.net",
		"<sip:>":                         "sip:romeo@example.net",
		"sip:agent@example.net":          "sip:romeo@example.net",
	} {
		q := &IMDNRequest{MessageID: "a", DateTime: "d", Wants: NoticeDelivered}
		if route != "" {
			q.Route = []string{route, "<sip:second@example.net>"}
		}
		m := q.Notify(MustParseURI("sip:juliet@example.com"), to, NoticeDelivered, "n1")
		if m.RequestURI.String() != want || m.To != to {
			t.Errorf("%s: to %s at %s, want %s", route, m.To, m.RequestURI, want)
		}
		var routes []string
		for _, h := range mustParseCPIM(t, string(m.Body)).Headers {
			if h.Name == "IMDN-Route" && h.Space == SpaceIMDN {
				routes = append(routes, h.Value)
			}
		}
		if !slices.Equal(routes, q.Route) {
			t.Errorf("IMDN-Route %q, want %q", routes, q.Route)
		}
	}
}

// IM-44: whatever a message says of itself, the notification of it is one that is read as
// what it says, and is well-formed; and what asks for one is read as what was asked for.
func TestNotifyReadsBack(t *testing.T) {
	anyText := rapid.OneOf(rapid.StringMatching(`[!-~]{1,40}`), rapid.StringN(1, 60, 200))
	from, to := MustParseURI("sip:juliet@example.com;gr=x"), MustParseURI("sip:romeo@example.net")
	rapid.Check(t, func(t *rapid.T) {
		says := rapid.SampledFrom([]Notice{NoticeDelivered, NoticeDisplayed, NoticeFailed}).Draw(t, "says")
		c := &CPIM{Headers: []CPIMHeader{NewDateTime(sipBorn), {Space: SpaceIMDN, Name: "Message-ID", Value: anyText.Draw(t, "id")},
			{Space: SpaceIMDN, Name: "Disposition-Notification", Value: says.String()},
			{Space: SpaceIMDN, Name: "Original-To", Value: "<" + anyText.Draw(t, "original") + ">"},
			{Space: SpaceIMDN, Name: "IMDN-Record-Route", Value: "<" + anyText.Draw(t, "route") + ">"}}}
		c, err := ParseCPIM(c.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		q := c.imdnRequest()
		if q == nil {
			return
		}
		asked, err := ParseCPIM((&CPIM{Headers: q.Headers()}).Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if back := asked.imdnRequest(); back == nil || back.MessageID != q.MessageID || back.Wants != says || back.DateTime != q.DateTime {
			t.Fatalf("%+v asks for %+v", q, back)
		}
		m := q.Notify(from, to, says, "n1")
		whole, err := ParseCPIM(m.Body)
		if err != nil {
			t.Fatal(err)
		}
		if id, _ := whole.Header(SpaceIMDN, "Message-ID"); id != "n1" || m.ContentType != TypeCPIM || whole.ContentHeader("content-type") != TypeIMDN ||
			whole.ContentHeader("content-disposition") != "notification" || whole.imdnRequest() != nil {
			t.Fatalf("%s", m.Body)
		}
		n, err := readIMDN(whole.Body)
		if err != nil || n.messageID != q.MessageID || n.says != says {
			t.Fatalf("%+v, %v of %s", n, err, whole.Body)
		}
		var doc struct {
			Date      string `xml:"datetime"`
			Recipient string `xml:"recipient-uri"`
			Original  string `xml:"original-recipient-uri"`
		}
		if err := xml.Unmarshal(whole.Body, &doc); err != nil {
			t.Fatal(err)
		}
		original := q.OriginalTo
		if original == "" {
			original = "im:juliet@example.com"
		}
		if doc.Date != q.DateTime || doc.Recipient != "im:juliet@example.com" || doc.Original != original {
			t.Fatalf("%+v of %+v", doc, q)
		}
	})
}

// FuzzIMDN: no notification of a stranger does harm, and what is read of one can be said
// again.
func FuzzIMDN(f *testing.F) {
	for _, s := range []string{imdnHead + "<message-id>a1</message-id><delivery-notification><status><delivered/></status></delivery-notification></imdn>",
		"<imdn><message-id>&amp;</message-id></imdn>", "<!DOCTYPE x><imdn/>", "<imdn", "", "<imdn><a><b><c><d><e><f><g><h/></g></f></e></d></c></b></a></imdn>"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := readIMDN(b)
		if err != nil {
			return
		}
		if n.messageID != "" && !isIMDNID(n.messageID) {
			t.Fatalf("%q", n.messageID)
		}
		if n.messageID == "" || n.says == 0 {
			return
		}
		q := IMDNRequest{MessageID: n.messageID, DateTime: "2026-01-15T10:00:00Z", Wants: n.says}
		if again, err := readIMDN(q.document(MustParseURI("sip:juliet@example.com"), n.says)); err != nil || *again != *n {
			t.Fatalf("%+v, and %+v after a round: %v", n, again, err)
		}
	})
}
