package mapping

import (
	"strings"
	"testing"
)

// CT-14, M-046: a ciphertext is refused with words that say what to do, and no text that
// only speaks of one.
func TestEncrypted(t *testing.T) {
	r := testRules(t)
	for _, body := range []string{
		"?OTR:AAMDJ+MVmSfjFZcAAAAAAQAAAAIAAADA.", "?OTR,1,3,AAMDJ,", "?OTR|5a73a599|27e31597,00001,00003,AAMD,",
		"?OTR?", "?OTR?v2?", "?OTRv2?", "?OTRv23?\n<b>a</b> has requested an Off-the-Record private conversation", "?OTR?v24x?", "?OTRv?", "?OTR?\nhello", "?OTR?\r\n",
		"aesgcm://up.example.com/a.jpg#8c3d050e9386ec173861778c", "AESGCM://x/y#z", "aesgcm://x/y#z\ndata:image/jpeg,x",
	} {
		got, err := r.ToSIP(xmppMessage(body))
		if f := failure(t, err); len(got) != 0 || f.Status != 488 || f.Condition != CondNotAcceptable || f.Type != TypeModify || !strings.Contains(f.Text, "encrypt") {
			t.Errorf("%q: %v, %v", body, got, f)
		}
	}
	for _, body := range []string{
		"have you seen ?OTR:AAMD.", " ?OTR:AAMD.", "?OTR", "?OTR is what?", "?OTR? never heard of it", "?OTRv2 is old", "?OTRv", "?OTR?v", "?OTR Error: cannot read", "?otr:AAMD.", "OTR?", "?",
		"see aesgcm://x/y", "aesgcm:", "aesgcm is a scheme", "a", "A", "", "-----BEGIN PGP MESSAGE-----",
	} {
		got, err := r.ToSIP(xmppMessage(body))
		if err != nil || len(got) != 1 && body != "" {
			t.Errorf("%q: %v, %v", body, got, err)
		}
	}
	for name, edit := range map[string]func(*XMPPMessage){
		"flag":                 func(m *XMPPMessage) { m.Encrypted = true },
		"flag without body":    func(m *XMPPMessage) { m.Encrypted, m.Bodies = true, nil },
		"flag and a link":      func(m *XMPPMessage) { m.Encrypted, m.URLs = true, []string{"https://e.example/"} },
		"link to a ciphertext": func(m *XMPPMessage) { m.URLs = []string{"https://e.example/", "aesgcm://e.example/a#k"} },
		"only such a link":     func(m *XMPPMessage) { m.URLs, m.Bodies = []string{" aesgcm://e.example/a#k"}, nil },
	} {
		m := xmppMessage("Art thou not Romeo?")
		edit(m)
		got, err := r.ToSIP(m)
		if f := failure(t, err); len(got) != 0 || f.Text != FailEncrypted().Text {
			t.Errorf("%s: %v, %v", name, got, f)
		}
	}
	// The right address is of more use than what is wrong with the text; an error is
	// never answered.
	m := xmppMessage("x")
	m.Encrypted, m.To = true, MustParseJID(`romeo\40@sip.example.com`)
	if _, err := r.ToSIP(m); failure(t, err).Condition != CondJIDMalformed {
		t.Errorf("%v", err)
	}
	m.Type = "error"
	if got, err := r.ToSIP(m); len(got) != 0 || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}
