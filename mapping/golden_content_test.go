package mapping

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// readContentHeader reads those headers of a request in a golden pair that are about its
// content and its time. The body of one with a Content-Encoding stands in hex.
//
// Received is no header: it is when the request was read.
func readContentHeader(t *testing.T, m *SIPMessage, name, val string) {
	t.Helper()
	var err error
	switch name {
	case "Content-Encoding":
		m.Encoding = val
	case "Content-Disposition":
		m.Disposition = val
	case "Date":
		m.Date, err = time.Parse(time.RFC1123, val)
	case "Received":
		m.Received, err = time.Parse(time.RFC1123, val)
	case "Expires":
		var seconds int
		seconds, err = strconv.Atoi(val)
		m.Expires = time.Duration(seconds) * time.Second
	default:
		t.Fatalf("header %q", name)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func fromHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// printExtensions shows what is beside the text of a stanza, as it is on the wire.
func printExtensions(b *strings.Builder, m *XMPPMessage) {
	if m.Markup != nil {
		b.WriteString("\n  <html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'>")
		printNodes(b, m.Markup)
		b.WriteString("</body></html>")
	}
	if m.WantReceipt {
		b.WriteString("\n  <request xmlns='urn:xmpp:receipts'/>")
	}
	if m.Markable {
		b.WriteString("\n  <markable xmlns='urn:xmpp:chat-markers:0'/>")
	}
	if m.Nick != "" {
		fmt.Fprintf(b, "\n  <nick xmlns='http://jabber.org/protocol/nick'>%s</nick>", escape(m.Nick))
	}
	if !m.Delay.IsZero() {
		fmt.Fprintf(b, "\n  <delay xmlns='urn:xmpp:delay' from='%s' stamp='%s'/>", escape(m.From.Bare().String()), m.Delay.Format(time.RFC3339))
	}
}

func printNodes(b *strings.Builder, nodes []Node) {
	for _, n := range nodes {
		if n.Name == "" {
			b.WriteString(escape(n.Text))
			continue
		}
		b.WriteString("<" + n.Name)
		for _, a := range n.Attrs {
			fmt.Fprintf(b, " %s='%s'", a.Name, escape(a.Value))
		}
		if n.Nodes == nil {
			b.WriteString("/>")
			continue
		}
		b.WriteString(">")
		printNodes(b, n.Nodes)
		b.WriteString("</" + n.Name + ">")
	}
}
