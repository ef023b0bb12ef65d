package component

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// TestReplies: GW-19, GW-20, GW-24. Answers as they are on the wire.
func TestReplies(t *testing.T) {
	us, me := mapping.MustParseJID(gateway), mapping.MustParseJID(iqFrom)
	iq := func(typ, lang, inner string) string {
		if lang != "" {
			lang = " xml:lang='" + lang + "'"
		}
		return `<iq from='sip.example.com' to='juliet@example.com/b' id='c&apos;1' type='` + typ + `'` + lang + `>` + inner + `</iq>`
	}
	failure := func(cond mapping.Condition, typ mapping.ErrorType, text string) *mapping.Failure {
		return &mapping.Failure{Condition: cond, Type: typ, Text: text, Alternate: "xmpp:x"}
	}
	const ns = ` xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'`
	for _, c := range []struct {
		name string
		v    mapping.XMPP
		want string
	}{
		{"done", &mapping.XMPPCommandReply{Node: "a'<b", Session: "s", Status: "completed", Notes: []mapping.Note{{Type: "warn", Text: "a < b\x00\x1b[31m"}, {Type: "shout", Text: "c"}}},
			iq("result", "", `<command xmlns='http://jabber.org/protocol/commands' node='a&apos;&lt;b' sessionid='s' status='completed'><note type='warn'>a &lt; b`+"\uFFFD\uFFFD"+`[31m</note><note>c</note></command>`)},
		{"asks", &mapping.XMPPCommandReply{Node: "n", Session: "s", Status: "executing", Lang: "de", Actions: []string{"complete", "prev", "dance'/>"}, Default: "complete",
			Form: &mapping.Form{Type: "form", Title: "T&T", Instructions: []string{"one", "two"}, Fields: []mapping.Field{
				{Var: "FORM_TYPE", Type: "hidden", Values: []string{"urn:x"}},
				{Type: "fixed", Values: []string{"text"}},
				{Var: "p", Type: "text-private", Label: "Pass'word", Desc: "d", Required: true},
				{Var: "l", Type: "list-single", Values: []string{"a"}, Options: []mapping.Option{{Label: "A", Value: "a"}, {Value: "b"}}},
				{Var: "m", Type: "text-multi", Values: []string{"one\r\ntwo\n", "three"}},
			}}},
			iq("result", "de", `<command xmlns='http://jabber.org/protocol/commands' node='n' sessionid='s' status='executing'><actions execute='complete'><prev/><complete/></actions>`+
				`<x xmlns='jabber:x:data' type='form'><title>T&amp;T</title><instructions>one</instructions><instructions>two</instructions>`+
				`<field var='FORM_TYPE' type='hidden'><value>urn:x</value></field><field type='fixed'><value>text</value></field>`+
				`<field var='p' type='text-private' label='Pass&apos;word'><desc>d</desc><required/></field>`+
				`<field var='l' type='list-single'><value>a</value><option label='A'><value>a</value></option><option><value>b</value></option></field>`+
				`<field var='m' type='text-multi'><value>one</value><value>two</value><value></value><value>three</value></field></x></command>`)},
		{"rows", &mapping.XMPPCommandReply{Node: "n", Status: "completed", Actions: []string{"next"}, Default: "cancel",
			Form: &mapping.Form{Type: "result", Columns: []mapping.Field{{Var: "a", Label: "A"}, {Var: "b", Type: "jid-single"}}, Rows: [][]string{{"1", "2"}, {"<3>"}, {"4", "5", "6"}, nil}}},
			iq("result", "", `<command xmlns='http://jabber.org/protocol/commands' node='n' status='completed'><actions><next/></actions>`+
				`<x xmlns='jabber:x:data' type='result'><reported><field var='a' label='A'/><field var='b' type='jid-single'/></reported>`+
				`<item><field var='a'><value>1</value></field><field var='b'><value>2</value></field></item><item><field var='a'><value>&lt;3&gt;</value></field></item>`+
				`<item><field var='a'><value>4</value></field><field var='b'><value>5</value></field></item><item></item></x></command>`)},
		{"error", &mapping.XMPPCommandReply{Lang: "de", Failure: failure("not-allowed", "cancel", "Zu <spät>."), Condition: "session-expired"},
			iq("error", "de", `<error type='cancel' by='sip.example.com'><not-allowed`+ns+`/><text`+ns+` xml:lang='de'>Zu &lt;spät&gt;.</text><session-expired xmlns='http://jabber.org/protocol/commands'/></error>`)},
		{"error of no known condition", &mapping.XMPPCommandReply{Failure: failure("x'/>", "y", ""), Condition: "x'/><y"},
			iq("error", "", `<error type='cancel' by='sip.example.com'><undefined-condition`+ns+`/></error>`)},

		{"error of a message", &mapping.XMPPError{Lang: "de", Failure: failure("forbidden", "auth", "Nein.")},
			`<message from='sip.example.com' to='juliet@example.com/b' id='c&apos;1' type='error'><error type='auth' by='sip.example.com'><forbidden` + ns + `/><text` + ns + ` xml:lang='de'>Nein.</text></error></message>`},
		{"registration was done", &mapping.XMPPRegisterReply{Registered: true, Instructions: "not asked for"}, iq("result", "", "")},
		{"registration, to be filled in", &mapping.XMPPRegisterReply{Asked: true, Lang: "en", Instructions: "Your <account>", Fields: []mapping.Field{{Var: "username"}, {Var: "password"}, {Var: "x'/><remove"}, {Var: "remove"}},
			Form: &mapping.Form{Type: "form", Fields: []mapping.Field{{Var: "username", Required: true}}}},
			iq("result", "en", `<query xmlns='jabber:iq:register'><instructions>Your &lt;account&gt;</instructions><username></username><password></password><x xmlns='jabber:x:data' type='form'><field var='username'><required/></field></x></query>`)},
		{"registration that there is", &mapping.XMPPRegisterReply{Asked: true, Registered: true, Fields: []mapping.Field{{Var: "username", Values: []string{"a&b", "c"}}}},
			iq("result", "", `<query xmlns='jabber:iq:register'><registered/><username>a&amp;b</username></query>`)},
		{"registration refused", &mapping.XMPPRegisterReply{Asked: true, Failure: failure("conflict", "", "Taken.")},
			iq("error", "", `<error type='cancel' by='sip.example.com'><conflict`+ns+`/><text`+ns+` xml:lang='en'>Taken.</text></error>`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			switch v := c.v.(type) {
			case *mapping.XMPPCommandReply:
				v.From, v.To, v.ID = us, me, "c'1"
			case *mapping.XMPPError:
				v.From, v.To, v.ID = us, me, "c'1"
			case *mapping.XMPPRegisterReply:
				v.From, v.To, v.ID = us, me, "c'1"
			}
			if got := string(appendValue(nil, c.v, testDomain, 1<<20)); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
			parse(t, c.want)
		})
	}
}

// FuzzForm: whatever a form says, XML comes out that says the same, and what of it is a
// field is read back (SEC-20).
func FuzzForm(f *testing.F) {
	f.Add("var", "text-private", "label", "value", "de", "not-allowed", "session-expired")
	f.Add("a'b\"<&>", "x'/><evil a='", "\r\n\t\x00", "]]>\xff\xed\xa0\x80\ufffe\U0010ffff", "'><", "gone", "bad-payload'")
	f.Add("", "text-multi", "", "one\ntwo\r\n\rthree", "", "", "")
	f.Fuzz(func(t *testing.T, name, typ, label, value, lang, cond, app string) {
		us, me := mapping.MustParseJID(gateway), mapping.MustParseJID(iqFrom)
		form := &mapping.Form{Type: mapping.FormSubmit, Title: label, Instructions: []string{value},
			Fields:  []mapping.Field{{Var: name, Type: mapping.FieldType(typ), Label: label, Desc: value, Required: true, Values: []string{value, label}, Options: []mapping.Option{{Label: label, Value: value}}}, {}},
			Columns: []mapping.Field{{Var: name, Label: label}}, Rows: [][]string{{value, label}}}
		v := &mapping.XMPPCommandReply{From: us, To: me, ID: name, Lang: lang, Node: value, Session: label, Status: typ, Actions: []string{"next", typ}, Default: typ, Notes: []mapping.Note{{Type: typ, Text: value}}, Form: form}
		e := parse(t, string(appendValue(nil, v, testDomain, 1<<20)))
		if len(e.children) != 1 || e.attr("id") != xmlText(name) || e.lang() != xmlText(lang) {
			t.Fatalf("the iq says %v", e.attrs)
		}
		command := e.children[0]
		if command.attr("node") != xmlText(value) || command.attr("sessionid") != xmlText(label) || command.attr("status") != xmlText(typ) || len(command.children) != 3 {
			t.Errorf("the command says %v", command.attrs)
		}
		got, ok := formIn(command)
		if !ok {
			t.Fatal("the form cannot be read")
		}
		values := []string{xmlText(value), xmlText(label)}
		if typ == "text-multi" {
			values = nil
			for _, v := range []string{value, label} {
				for _, line := range strings.Split(v, "\n") {
					values = append(values, xmlText(strings.TrimSuffix(line, "\r")))
				}
			}
		}
		want := &mapping.Form{Type: mapping.FormSubmit, Fields: []mapping.Field{{Var: xmlText(name), Type: mapping.FieldType(xmlText(typ)), Values: values}, {}}}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("-want +got\n%s", d)
		}

		bad := &mapping.XMPPRegisterReply{From: us, To: me, ID: name, Lang: lang, Asked: true, Instructions: value, Fields: []mapping.Field{{Var: typ, Values: []string{value}}}}
		if e := parse(t, string(appendValue(nil, bad, testDomain, 1<<20))); len(e.children) != 1 || len(e.children[0].children) > 2 {
			t.Error("registration with the wrong shape")
		}
		v.Failure, v.Condition = &mapping.Failure{Condition: mapping.Condition(cond), Type: mapping.ErrorType(typ), Text: value, Alternate: label}, app
		e = parse(t, string(appendValue(nil, v, testDomain, 1<<20)))
		if len(e.children) != 1 || e.children[0].name.Local != "error" || len(e.children[0].children) > 3 {
			t.Error("error with the wrong shape")
		}
	})
}

// FuzzInquiry: whatever stands in a command or a registration, it is handed over or answered,
// and that once; what is handed over has bounds.
func FuzzInquiry(f *testing.F) {
	f.Add("command", " node='n'", "", true)
	f.Add("command", " node='n' action='prev' sessionid='s' xml:lang='de'", "<x xmlns='jabber:x:data' type='submit'><field var='v'><value>x</value></field></x>", true)
	f.Add("command", " node='n' action='&#10;'", "<x xmlns='jabber:x:data' type='form'/>", true)
	f.Add("command", "", "<note/><actions><next/></actions>", false)
	f.Add("query", "", "<username>j</username><password>p</password>", true)
	f.Add("query", "", "<remove/><x xmlns='jabber:x:data' type='cancel'/>", true)
	f.Add("query", "", "<username/><username/>", true)
	f.Add("query", "/><query", "", false)
	if !isStanza("<iq><query xmlns='x'/></iq>") || isStanza("<iq/><iq/>") || isStanza("<iq>") {
		f.Fatal("isStanza is wrong")
	}
	f.Fuzz(func(t *testing.T, name, attrs, inner string, set bool) {
		typ, ns := "get", nsRegister
		if set {
			typ = "set"
		}
		if name == "command" {
			ns = nsCommands
		}
		iq := fmt.Sprintf("<iq type='%s' from='juliet@example.com/b' to='sip.example.com' id='f'><%s xmlns='%s'%s>%s</%s></iq>", typ, name, ns, attrs, inner, name)
		if !isStanza(iq) {
			return
		}
		h := newSink()
		written, _ := readAllWith([]byte(streamHeader+iq+"</stream:stream>"), 1000, 256<<10, h, withCommands(t))
		answers := strings.Count(string(written), "id='f' type=")
		asked := h.inquiries()
		if answers+len(asked) != 1 {
			t.Fatalf("%s: %d answers, %d handed over: %s", iq, answers, len(asked), written)
		}
		for _, v := range asked {
			var form *mapping.Form
			switch v := v.(type) {
			case *mapping.XMPPCommand:
				form = v.Form
				if v.Node == "" || !strings.Contains(" execute cancel prev next complete ", " "+v.Action+" ") || v.ID != "f" {
					t.Errorf("%+v", v)
				}
			case *mapping.XMPPRegister:
				form = v.Form
				if v.ID != "f" || len(v.Fields) > len(registerFields) || v.Set != set || !set && (v.Remove || v.More) {
					t.Errorf("%+v", v)
				}
			}
			if form != nil && (len(form.Fields) > maxFields || form.Type != "submit" && form.Type != "cancel") {
				t.Errorf("%+v", form)
			}
		}
	})
}

// isStanza reports whether a text is one stanza, and no more than that.
func isStanza(text string) bool {
	s := &scanner{source: source{buf: make([]byte, 4096), fill: strings.NewReader(streamHeader + text + "</stream:stream>").Read}}
	s.begin(16 << 10)
	if _, _, err := s.header(); err != nil {
		return false
	}
	if _, _, err := s.stanza(256 << 10); err != nil {
		return false
	}
	_, _, err := s.stanza(256 << 10)
	return errors.Is(err, errStreamEnd)
}

// A form is read from the element of that name and namespace only.
func TestFormElsewhere(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, withCommands(t))
	for i, in := range []string{
		`<x type='submit'><field var='v'/></x>`, `<form xmlns='jabber:x:data' type='submit'/>`, `<x xmlns='urn:odd' type='form'/>`,
		`<note><x xmlns='jabber:x:data' type='submit'/></note>`,
	} {
		id := fmt.Sprint(i)
		send(t, conn, command(id, ` node='n'`, in))
		fence(t, conn)
		got := r.sink.inquiries()
		if len(got) != 1 || got[0].(*mapping.XMPPCommand).Form != nil {
			t.Errorf("%s: %+v", in, got)
		}
		r.Deliver(parcels(answerTo(got[0])))
		if st := conn.Next(); st.ID != id {
			t.Errorf("got %s", st.Raw)
		}
	}
}
