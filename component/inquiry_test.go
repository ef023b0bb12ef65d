package component

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// answerTo is a short answer to a command or a registration.
func answerTo(v mapping.XMPP) mapping.XMPP {
	switch v := v.(type) {
	case *mapping.XMPPCommand:
		return &mapping.XMPPCommandReply{From: v.To, To: v.From, ID: v.ID, Node: v.Node, Status: "completed", Form: &mapping.Form{Type: mapping.FormResult}}
	case *mapping.XMPPRegister:
		return &mapping.XMPPRegisterReply{From: v.To, To: v.From, ID: v.ID}
	}
	panic("no inquiry")
}

func commandFrom(from, id string) string {
	return strings.Replace(command(id, ` node='n'`, ""), iqFrom, from, 1)
}

// Answers come back to whom asked, in whatever order they are given; their outcome is that of
// the barrier behind them.
func TestInquiriesAnswered(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, withCommands(t))
	for _, from := range []string{"juliet@example.com/b", "juliet@example.com/a", "nurse@example.com"} {
		for _, id := range []string{"1", "2"} {
			send(t, conn, commandFrom(from, id))
		}
	}
	fence(t, conn)
	asked := r.sink.inquiries()
	if len(asked) != 6 {
		t.Fatalf("%d commands", len(asked))
	}
	for i, v := range asked {
		c := v.(*mapping.XMPPCommand)
		if want := fmt.Sprint([]string{"juliet@example.com/b", "juliet@example.com/a", "nurse@example.com"}[i/2], " ", 1+i%2); c.From.String()+" "+c.ID != want {
			t.Errorf("command %d is %s of %s", i, c.ID, c.From)
		}
	}
	for i := len(asked) - 1; i >= 0; i-- {
		r.Deliver([]mapping.Parcel[mapping.XMPP]{{Ref: i, Value: answerTo(asked[i])}})
		c := asked[i].(*mapping.XMPPCommand)
		if got := conn.Next(); got.ID != c.ID || got.To != c.From.String() || got.Type != "result" {
			t.Errorf("got %s", got.Raw)
		}
	}
	r.sink.waitSettled(6)
	for i := range asked {
		if o := r.sink.outcome(t, i); o.Kind != mapping.Processed {
			t.Errorf("%d: %v", i, o)
		}
	}
}

// Nothing is written that nobody waits for: a second answer, and one to another one.
func TestInquiryAnsweredOnce(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, withCommands(t))
	send(t, conn, command("c", ` node='n'`, ""))
	fence(t, conn)
	v := r.sink.inquiries()[0].(*mapping.XMPPCommand)
	wrong := []mapping.XMPPCommandReply{
		{From: v.To, To: v.From, ID: "d"},
		{From: v.To, To: v.From.Bare(), ID: "c"},
		{From: mapping.MustParseJID(romeo), To: v.From, ID: "c"},
		{From: v.To, To: v.From, ID: ""},
	}
	for i := range wrong {
		wrong[i].Node, wrong[i].Status = "n", "completed"
		r.Deliver([]mapping.Parcel[mapping.XMPP]{{Ref: i, Value: &wrong[i]}})
	}
	r.Deliver([]mapping.Parcel[mapping.XMPP]{{Ref: "good", Value: answerTo(v)}, {Ref: "again", Value: answerTo(v)}})
	if got := fence(t, conn); len(got) != 1 || got[0].ID != "c" || got[0].To != iqFrom {
		t.Fatalf("got %v", got)
	}
	r.sink.waitSettled(len(wrong) + 2)
	for _, ref := range []any{0, 1, 2, 3, "again"} {
		if o := r.sink.outcome(t, ref); o.Kind != mapping.Refused {
			t.Errorf("%v: %v", ref, o)
		}
	}
	if o := r.sink.outcome(t, "good"); o.Kind != mapping.Processed {
		t.Errorf("the answer: %v", o)
	}
	// The same id once more is another command.
	send(t, conn, command("c", ` node='n'`, ""))
	fence(t, conn)
	r.Deliver(parcels(answerTo(v)))
	if got := conn.Next(); got.ID != "c" || got.Type != "result" {
		t.Errorf("got %s", got.Raw)
	}
}

// An answer that cannot be written is an error to the asker, and Refused.
func TestInquiryAnsweredBadly(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, func(c *Config) { withCommands(t)(c); c.MaxStanzaBytes = 10000 })
	good := mapping.XMPPCommandReply{From: mapping.MustParseJID(gateway), To: mapping.MustParseJID(iqFrom), ID: "c", Node: "n", Status: "completed"}
	for name, change := range map[string]func(v *mapping.XMPPCommandReply){
		"no status":    func(v *mapping.XMPPCommandReply) { v.Status = "" },
		"odd status":   func(v *mapping.XMPPCommandReply) { v.Status = "cancelled" },
		"no node":      func(v *mapping.XMPPCommandReply) { v.Node = "" },
		"odd form":     func(v *mapping.XMPPCommandReply) { v.Form = &mapping.Form{Type: "x' y='"} },
		"too long":     func(v *mapping.XMPPCommandReply) { v.Notes = []mapping.Note{{Text: strings.Repeat("x", 10000)}} },
		"too long too": func(v *mapping.XMPPCommandReply) { v.Notes = []mapping.Note{{Text: strings.Repeat("<", 3000)}} },
	} {
		t.Run(name, func(t *testing.T) {
			send(t, conn, command("c", ` node='n'`, ""))
			fence(t, conn)
			v := good
			change(&v)
			r.Deliver([]mapping.Parcel[mapping.XMPP]{{Ref: name, Value: &v}})
			if got := fence(t, conn); len(got) != 1 || got[0].ID != "c" || got[0].To != iqFrom || got[0].Condition != "internal-server-error" {
				t.Fatalf("got %v", got)
			}
			r.sink.mu.Lock()
			for len(r.sink.outcomes[name]) == 0 {
				r.sink.cond.Wait()
			}
			r.sink.mu.Unlock()
			if o := r.sink.outcome(t, name); o.Kind != mapping.Refused {
				t.Errorf("%v", o)
			}
		})
	}
	r.Deliver(parcels((*mapping.XMPPCommandReply)(nil), (*mapping.XMPPRegisterReply)(nil)))
	if got := fence(t, conn); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

// An id that is as long as a stanza may be cannot come back, and takes nobody's room.
func TestInquiryWithALongID(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, func(c *Config) { withCommands(t)(c); c.MaxStanzaBytes = 10000 })
	for range maxInquiriesOf + 1 {
		send(t, conn, command(strings.Repeat("i", 9800), ` node='n'`, ""))
		if got := fence(t, conn); len(got) != 0 {
			t.Fatalf("answered %.200s", got[0].Raw)
		}
		v := answerTo(r.sink.inquiries()[0]).(*mapping.XMPPCommandReply)
		v.Notes = []mapping.Note{{Text: strings.Repeat("x", 300)}}
		r.Deliver(parcels(v))
		if got := fence(t, conn); len(got) != 0 {
			t.Fatalf("answered %.200s", got[0].Raw)
		}
	}
}

// TestTooManyInquiries: GW-35. One user has a few without an answer, and all together have a
// bounded number; there is room again when there are answers.
func TestTooManyInquiries(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, withCommands(t))
	refused := func() (n int) {
		for _, st := range fence(t, conn) {
			if st.ErrorType+"/"+st.Condition != "wait/resource-constraint" || !strings.Contains(st.Raw, "Try again in 5 s.") {
				t.Errorf("got %s", st.Raw)
			}
			n++
		}
		return n
	}
	for i := range maxInquiriesOf + 3 {
		send(t, conn, commandFrom(fmt.Sprintf("juliet@example.com/%d", i), "c"))
	}
	if n := refused(); n != 3 {
		t.Errorf("%d of one user refused", n)
	}
	for i := range maxInquiries {
		send(t, conn, commandFrom(fmt.Sprintf("u%d@example.com/x", i), "c"))
	}
	if n := refused(); n != maxInquiriesOf {
		t.Errorf("%d of others refused", n)
	}
	asked := r.sink.inquiries()
	if len(asked) != maxInquiries {
		t.Fatalf("%d commands", len(asked))
	}
	send(t, conn, `<iq type='get' from='last@example.com/x' to='`+gateway+`' id='r'><query xmlns='jabber:iq:register'/></iq>`)
	if n := refused(); n != 1 {
		t.Error("a registration is taken beside as many commands")
	}
	for _, v := range asked {
		r.Deliver(parcels(answerTo(v)))
	}
	for range asked {
		if got := conn.Next(); got.Type != "result" {
			t.Errorf("got %s", got.Raw)
		}
	}
	for i := range maxInquiriesOf {
		send(t, conn, commandFrom("juliet@example.com/b", fmt.Sprint(i)))
	}
	if n := refused(); n != 0 {
		t.Errorf("%d refused although all others have been answered", n)
	}
}

// Who gets no answer is told so after a minute, once; what the handler says then is not written.
func TestInquiryWithoutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conn := memory(t, xmpptest.Options{}, withCommands(t))
		send(t, conn, command("first", ` node='n'`, ""))
		fence(t, conn)
		time.Sleep(20 * time.Second)
		send(t, conn, command("answered", ` node='n'`, "")+command("second", ` node='n'`, ""))
		fence(t, conn)
		asked := r.sink.inquiries()
		r.Deliver(parcels(answerTo(asked[1])))
		if got := conn.Next(); got.ID != "answered" {
			t.Errorf("got %s", got.Raw)
		}
		time.Sleep(39 * time.Second)
		if got := fence(t, conn); len(got) != 0 {
			t.Errorf("before its time: %s", got[0].Raw)
		}
		time.Sleep(2 * time.Second)
		late := func(id string) {
			t.Helper()
			if got := fence(t, conn); len(got) != 1 || got[0].ID != id || got[0].To != iqFrom || got[0].From != gateway ||
				got[0].ErrorType+"/"+got[0].Condition != "wait/remote-server-timeout" {
				t.Errorf("got %v, want that there is no answer to %s", got, id)
			}
		}
		late("first")
		r.Deliver([]mapping.Parcel[mapping.XMPP]{{Ref: "late", Value: answerTo(asked[0])}})
		time.Sleep(20 * time.Second)
		late("second")
		if o := r.sink.outcome(t, "late"); o.Kind != mapping.Refused {
			t.Errorf("the late answer: %v", o)
		}
		if n := len(r.log.lines("were not answered in time")); n != 2 {
			t.Errorf("%d lines in the log", n)
		}
		r.stop()
	})
}

// The link may go and come back between a command and its answer, which is still written once.
func TestInquiryOverANewLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conn := memory(t, xmpptest.Options{}, withCommands(t))
		send(t, conn, command("c", ` node='n'`, ""))
		fence(t, conn)
		asked := r.sink.inquiries()
		conn.Drop()
		synctest.Wait()
		r.Deliver([]mapping.Parcel[mapping.XMPP]{{Ref: "down", Value: answerTo(asked[0])}})
		conn = accept(t, r.srv)
		if o := r.sink.outcome(t, "down"); o.Kind != mapping.NotWritten {
			t.Errorf("without a link: %v", o)
		}
		r.Deliver(parcels(answerTo(asked[0])))
		if got := fence(t, conn); len(got) != 1 || got[0].ID != "c" || got[0].Type != "result" {
			t.Errorf("got %v", got)
		}
		r.stop()
	})
}

// Who waits while there is no link is told as soon as there is one.
func TestInquiryWithoutLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conn := memory(t, xmpptest.Options{}, withCommands(t))
		send(t, conn, command("one", ` node='n'`, "")+command("two", ` node='n'`, ""))
		fence(t, conn)
		time.Sleep(30 * time.Second)
		r.srv.Refuse(errors.New("down"))
		conn.Drop()
		time.Sleep(2 * time.Minute)
		if n := r.Stats().Unwritten; n != 0 {
			t.Errorf("%d octets wait for a link", n)
		}
		r.srv.Refuse(nil)
		conn = r.srv.Accept()
		for _, id := range []string{"one", "two"} {
			if got := conn.Next(); got.ID != id || got.Condition != "remote-server-timeout" {
				t.Errorf("got %s", got.Raw)
			}
		}
		if !conn.Echoed(xmpptest.LinkCheck) {
			t.Error("the link did not come up")
		}
		if got := fence(t, conn); len(got) != 0 {
			t.Errorf("and %s", got[0].Raw)
		}
		r.stop()
	})
}

// Where nothing more can be written a long answer becomes a short one.
func TestInquiryInAFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conn := memory(t, xmpptest.Options{NoEcho: true}, func(c *Config) { withCommands(t)(c); c.QueueBytes = 4000 })
		send(t, conn, command("c", ` node='n'`, ""))
		fence(t, conn)
		stall(conn)
		r.Deliver(parcels(message("m", "taken by the read under way")))
		synctest.Wait()
		for i := range 40 {
			r.Deliver(parcels(message(fmt.Sprint("m", i), strings.Repeat("x", 200))))
		}
		v := answerTo(r.sink.inquiries()[0]).(*mapping.XMPPCommandReply)
		v.Notes = []mapping.Note{{Text: strings.Repeat("x", 1000)}}
		r.Deliver([]mapping.Parcel[mapping.XMPP]{{Ref: "c", Value: v}})
		synctest.Wait()
		if o := r.sink.outcome(t, "c"); o.Kind != mapping.NotWritten || o.Failure.Condition != mapping.CondResourceConstraint {
			t.Errorf("%v", o)
		}
		conn.Resume()
		got := conn.Next()
		for got.Name == "message" || got.Type == "get" { // messages, and their barriers
			got = conn.Next()
		}
		if got.ID != "c" || got.To != iqFrom || got.ErrorType+"/"+got.Condition != "wait/resource-constraint" {
			t.Errorf("got %s", got.Raw)
		}
		r.stop()
	})
}

// A server that bounces an answer tells us nothing: the asker has gone.
func TestBounceOfAnAnswer(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, withCommands(t))
	send(t, conn, command("c", ` node='n'`, ""))
	fence(t, conn)
	r.Deliver([]mapping.Parcel[mapping.XMPP]{{Ref: "c", Value: answerTo(r.sink.inquiries()[0])}})
	conn.Bounce(conn.Next(), "service-unavailable")
	r.sink.waitSettled(1)
	if o := r.sink.outcome(t, "c"); o.Kind != mapping.Processed {
		t.Errorf("%v", o)
	}
	if got := fence(t, conn); len(got) != 0 {
		t.Errorf("answered %s", got[0].Raw)
	}
	if late := r.sink.lateOnes(); len(late) != 0 || len(r.sink.inquiries()) != 0 {
		t.Errorf("the handler was given %v", late)
	}
}

// Users ask and are answered while the configuration changes: each has one answer.
func TestInquiriesBesideChanges(t *testing.T) {
	const n = 300
	var cfg Config
	r, conn := loopback(t, xmpptest.Options{}, func(c *Config) { withCommands(t)(c); cfg = *c })
	r.sink.onInquiry = func(v mapping.XMPP) { r.Deliver(parcels(answerTo(v))) }
	var all sync.WaitGroup
	all.Go(func() {
		for i := range n {
			next := cfg
			next.BarrierTimeout = time.Duration(5+i%3) * time.Second
			r.Change(next)
		}
	})
	all.Go(func() {
		for i := range n {
			send(t, conn, commandFrom(fmt.Sprintf("u%d@example.com/x", i%40), fmt.Sprint(i)))
		}
	})
	got := map[string]int{}
	for range n {
		st := conn.Next()
		got[st.ID]++
	}
	all.Wait()
	for i := range n {
		if got[fmt.Sprint(i)] != 1 {
			t.Errorf("%d has %d answers", i, got[fmt.Sprint(i)])
		}
	}
	if extra := fence(t, conn); len(extra) != 0 {
		t.Errorf("and %s", extra[0].Raw)
	}
}
