package commands

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stoxgw/stox/mapping"
)

const addressForm = `form "Your SIP account"
  Enter the SIP account that this gateway shall use for you. It is checked at once; your telephone goes on working beside it.
address (text-single) * = []
password (text-private) * = []
username (text-single) = []
registrar (text-single) = []
name (text-single) = []
`

// An account is set, looked at, changed, and removed with a confirmation; the gateway asks to
// be a contact with the first of it, and takes leave with the last.
func TestAccountByForms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left []string
		w := newWorld(t, func(o *Options) {
			o.Left = func(user, name mapping.JID) { left = append(left, user.String()+" of "+name.String()) }
		})
		r := w.begin(juliet, "account")
		if described(r) != "executing | complete" || shown(r.Form) != addressForm {
			t.Fatalf("%s\n%s", described(r), shown(r.Form))
		}
		r, also := w.submit(r, juliet, actComplete, "address", "juliet@pbx.example.net", "password", secret, "name", "Juliet")
		if described(r) != "completed | info: juliet@pbx.example.net is your SIP account now." {
			t.Errorf("%s", described(r))
		}
		if got := shown(r.Form); !strings.Contains(got, `address (text-single) = ["juliet@pbx.example.net"]`) || !strings.Contains(got, `state (text-single) = ["registered"]`) {
			t.Errorf("the account: %s", got)
		}
		if got := bodies(also); !slices.Equal(got, []string{"sip.example.com>juliet@example.com subscribe"}) {
			t.Errorf("besides it is said: %q", got)
		}

		r = w.begin(juliet, "account")
		if described(r) != "executing | next" || !strings.Contains(shown(r.Form), `(fixed) = ["SIP address: juliet@pbx.example.net"]`) || !strings.Contains(shown(r.Form), `(fixed) = ["State: registered"]`) ||
			strings.Contains(shown(r.Form), "Reason") {
			t.Errorf("%s\n%s", described(r), shown(r.Form))
		}
		r, _ = w.submit(r, juliet, actNext, "do", "change")
		if described(r) != "executing | prev,complete" || r.Form.Value("address") != "juliet@pbx.example.net" || r.Form.Value("password") != "" {
			t.Errorf("%s\n%s", described(r), shown(r.Form))
		}
		r, _ = w.submit(r, juliet, actPrev)
		if described(r) != "executing | next" {
			t.Errorf("back: %s", described(r))
		}
		r, _ = w.submit(r, juliet, actExecute, "do", "change")
		r, also = w.submit(r, juliet, actComplete, "address", "capulet@pbx.example.net", "password", secret)
		if described(r) != "completed | info: capulet@pbx.example.net is your SIP account now." || len(also) != 0 {
			t.Errorf("%s, and %q", described(r), bodies(also))
		}

		r = w.begin(juliet, "account")
		r, _ = w.submit(r, juliet, actNext, "do", "keep")
		if described(r) != "completed | info: Nothing was changed." {
			t.Errorf("kept: %s", described(r))
		}
		r = w.begin(juliet, "account")
		r, _ = w.submit(r, juliet, actNext, "do", "remove")
		if described(r) != "executing | prev,complete" {
			t.Errorf("confirm: %s", described(r))
		}
		r, _ = w.submit(r, juliet, actComplete, "confirm", "false")
		if _, has := w.accounts.Of(jid("juliet@example.com")); !has || described(r) != "completed | info: Nothing was changed." {
			t.Errorf("not confirmed: %s", described(r))
		}
		r = w.begin(juliet, "account")
		r, _ = w.submit(r, juliet, actNext, "do", "remove")
		r, also = w.submit(r, juliet, actComplete, "confirm", "1")
		if _, has := w.accounts.Of(jid("juliet@example.com")); has || described(r) != "completed | info: Your SIP account was removed." {
			t.Errorf("confirmed: %s", described(r))
		}
		want := []string{"sip.example.com>juliet@example.com unsubscribe", "sip.example.com>juliet@example.com unsubscribed", "sip.example.com>juliet@example.com unavailable"}
		if got := bodies(also); !slices.Equal(got, want) || !slices.Equal(left, []string{"juliet@example.com of sip.example.com"}) {
			t.Errorf("besides it is said: %q; %q have left", got, left)
		}
	})
}

// What is wrong with an account is said above the form, which has what was typed but the
// password; what is not for users is not said.
func TestAccountProblems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		r := w.begin(juliet, "account")
		for _, c := range []struct {
			fault error
			want  string
		}{
			{&Problem{Kind: "wrong-password", Status: 403}, "The SIP server does not accept this user name and password. (403)"},
			{&Problem{Kind: "busy", Seconds: 30}, "Your SIP account cannot be changed now: it is being changed already, or there were too many attempts. Try again in 30 s."},
			{&Problem{Kind: "no-answer"}, english.Problems["no-answer"]},
			{&Problem{Kind: "something new"}, english.Problems[""]},
			{errDisk, english.Problems[""]},
		} {
			w.accounts.fault = c.fault
			r, _ = w.submit(r, juliet, actComplete, "address", " juliet@pbx.example.net ", "password", secret, "registrar", "reg.example.net")
			if described(r) != "executing | complete | error: "+c.want || r.Form.Instructions[0] != c.want ||
				r.Form.Value("address") != "juliet@pbx.example.net" || r.Form.Value("registrar") != "reg.example.net" || r.Form.Value("password") != "" {
				t.Errorf("%v: %s\n%s", c.fault, described(r), shown(r.Form))
			}
		}
		w.accounts.fault = nil
		given := len(w.accounts.secrets)
		r, _ = w.submit(r, juliet, actComplete, "address", "juliet@pbx.example.net")
		if described(r) != "executing | complete | error: "+english.Problems["incomplete"] || len(w.accounts.secrets) != given {
			t.Errorf("without a password: %s", described(r))
		}
		r, _ = w.submit(r, juliet, actComplete, "address", "juliet@pbx.example.net", "password", secret)
		if described(r) != "completed | info: juliet@pbx.example.net is your SIP account now." {
			t.Errorf("at last: %s", described(r))
		}
	})
}

// The same in a chat, where a password comes with a warning.
func TestAccountInChat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		has := func(said string, what ...string) {
			t.Helper()
			for _, s := range what {
				if !strings.Contains(said, s) {
					t.Errorf("%q is not in %q", s, said)
				}
			}
		}
		has(w.text(juliet, "account", ""), english.Account.None)
		has(w.text(juliet, "account set juliet@pbx.example.net", ""), "write \"account set ADDRESS PASSWORD\"", "archive")
		has(w.text(juliet, "account set a b c d e f", ""), "write \"account set ADDRESS PASSWORD\"", "archive")
		w.accounts.fault = &Problem{Kind: "wrong-password", Status: 401}
		has(w.text(juliet, "account set juliet@pbx.example.net "+secret, ""), english.Problems["wrong-password"]+" (401)", english.Account.Archived)
		w.accounts.fault = nil
		taken, all := w.chat(juliet, "account SET juliet@pbx.example.net "+secret+" jcap reg.example.net", "")
		got := bodies(all)
		if !taken || len(got) != 3 || !strings.HasPrefix(got[0], "received q") || got[2] != "sip.example.com>juliet@example.com subscribe" {
			t.Fatalf("set: %q", got)
		}
		has(got[1], "juliet@pbx.example.net is your SIP account now.", "User name: jcap", "Registrar: reg.example.net", english.Account.Archived)
		has(w.text(phone, "Account", "en"), "Your SIP account\n", "State: registered")
		has(w.text(juliet, "account frobnicate", ""), "account [set ADDRESS PASSWORD | remove]")
		has(w.text(juliet, "account remove", ""), "write \"account remove yes\"")
		if _, has := w.accounts.Of(jid("juliet@example.com")); !has {
			t.Error("removed without a confirmation")
		}
		taken, all = w.chat(juliet, "konto entfernen ja", "")
		got = bodies(all)
		if !taken || len(got) != 5 || got[1] != german.Account.Removed || got[4] != "sip.example.com>juliet@example.com unavailable" {
			t.Errorf("removed: %q", got)
		}
		has(w.text(juliet, "account remove yes", ""), english.Account.None)
	})
}

// GW-19, GW-20: registration is answered as XEP-0077 has it.
func TestRegister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		ask := func(m *mapping.XMPPRegister) (*mapping.XMPPRegisterReply, []string) {
			t.Helper()
			m.From, m.To, m.ID = jid(juliet), jid(gateway), w.id()
			w.desk.Register(m)
			all := w.next()
			r, ok := all[0].(*mapping.XMPPRegisterReply)
			if !ok || r.ID != m.ID || r.From != m.To || r.To != m.From {
				t.Fatalf("%+v is no answer", all[0])
			}
			return r, bodies(all[1:])
		}
		fails := func(what string, m *mapping.XMPPRegister, cond mapping.Condition, typ mapping.ErrorType) {
			t.Helper()
			r, also := ask(m)
			if r.Failure == nil || r.Failure.Condition != cond || r.Failure.Type != typ || r.Failure.Text == "" || len(also) != 0 {
				t.Errorf("%s: %+v, and %q", what, r, also)
			}
		}
		plain := func(values ...string) *mapping.XMPPRegister {
			return &mapping.XMPPRegister{Set: true, Fields: submitted(values...).Fields}
		}
		fields := func(r *mapping.XMPPRegisterReply) string {
			return shown(&mapping.Form{Fields: r.Fields}) + shown(r.Form)
		}

		r, _ := ask(&mapping.XMPPRegister{})
		const empty = " \"\"\nusername () = []\npassword () = []\nname () = []\n" + `form "SIP account"
  Enter the SIP account that this gateway shall use for you: its address, as in romeo@example.net, and its password.
FORM_TYPE (hidden) = ["jabber:iq:register"]
username (text-single) * = []
password (text-private) * = []
x-username (text-single) = []
x-registrar (text-single) = []
name (text-single) = []
`
		if !r.Asked || r.Registered || r.Instructions == "" || fields(r) != empty {
			t.Errorf("asked: %+v\n%s", r, fields(r))
		}
		fails("removed before", &mapping.XMPPRegister{Set: true, Remove: true}, mapping.CondRegistrationRequired, mapping.TypeAuth)
		fails("nothing", plain(), mapping.CondNotAcceptable, mapping.TypeModify)
		fails("no password", plain("username", "juliet@pbx.example.net"), mapping.CondNotAcceptable, mapping.TypeModify)
		fails("no address", plain("password", secret), mapping.CondNotAcceptable, mapping.TypeModify)
		for kind, want := range map[string]struct {
			cond mapping.Condition
			typ  mapping.ErrorType
		}{
			"taken": {mapping.CondConflict, mapping.TypeCancel}, "bad-address": {mapping.CondNotAcceptable, mapping.TypeModify},
			"not-allowed-domain": {mapping.CondNotAcceptable, mapping.TypeModify}, "wrong-password": {mapping.CondNotAuthorized, mapping.TypeAuth},
			"no-answer": {mapping.CondRemoteServerTimeout, mapping.TypeWait}, "busy": {mapping.CondResourceConstraint, mapping.TypeWait},
			"off": {mapping.CondServiceUnavailable, mapping.TypeCancel}, "refused": {mapping.CondNotAcceptable, mapping.TypeModify},
			"not-kept": {mapping.CondInternalServerError, mapping.TypeCancel},
		} {
			w.accounts.fault = &Problem{Kind: kind}
			fails(kind, plain("username", "juliet@pbx.example.net", "password", secret), want.cond, want.typ)
		}
		w.accounts.fault = errDisk
		fails("a fault", plain("username", "juliet@pbx.example.net", "password", secret), mapping.CondInternalServerError, mapping.TypeCancel)
		w.accounts.fault = nil

		if r, _ := ask(&mapping.XMPPRegister{Set: true, Form: &mapping.Form{Type: mapping.FormCancel}}); r.Failure != nil || r.Asked || len(w.accounts.All()) != 0 {
			t.Errorf("a form that is canceled: %+v", r)
		}
		r, also := ask(plain("username", "juliet@pbx.example.net", "password", secret))
		if r.Failure != nil || r.Asked || !slices.Equal(also, []string{"sip.example.com>juliet@example.com subscribe"}) {
			t.Errorf("registered: %+v, and %q", r, also)
		}
		r, also = ask(&mapping.XMPPRegister{Set: true, Form: submitted("FORM_TYPE", nsRegister, "username", "jc@pbx.example.net", "password", secret, "x-username", "jc", "name", "J.")})
		if a, _ := w.accounts.Of(jid("juliet@example.com")); r.Failure != nil || len(also) != 0 || a.Address != "jc@pbx.example.net" || a.Username != "jc" || a.Name != "J." {
			t.Errorf("changed: %+v, and %q: %+v", r, also, a)
		}
		r, _ = ask(&mapping.XMPPRegister{Lang: "de-DE"})
		if !r.Registered || r.Lang != "de" || r.Instructions != german.Register.Instructions || r.Form.Value("username") != "jc@pbx.example.net" || r.Form.Value("password") != "" ||
			len(r.Fields) != 3 || len(r.Fields[1].Values) != 0 {
			t.Errorf("asked again: %+v\n%s", r, fields(r))
		}
		fails("removed with something else", &mapping.XMPPRegister{Set: true, Remove: true, More: true}, mapping.CondBadRequest, mapping.TypeModify)
		r, also = ask(&mapping.XMPPRegister{Set: true, Remove: true})
		if r.Failure != nil || r.Asked || len(also) != 3 {
			t.Errorf("removed: %+v, and %q", r, also)
		}
	})
}

// Where users may not have accounts nothing of them is there.
func TestWithoutAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.Accounts = nil })
		if r := w.begin(juliet, "account"); described(r) != "cancel/item-not-found" {
			t.Error(described(r))
		}
		if got := w.text(juliet, "account", ""); got != "not taken" {
			t.Error(got)
		}
		w.desk.Register(&mapping.XMPPRegister{From: jid(juliet), To: jid(gateway), ID: "r"})
		if all := w.next(); len(all) != 1 || all[0].(*mapping.XMPPRegisterReply).Failure.Condition != mapping.CondServiceUnavailable {
			t.Errorf("%+v", all)
		}
		for _, i := range w.desk.Items(jid(boss), "") {
			if strings.Contains(i.Node, "account") || strings.Contains(i.Node, "user") {
				t.Errorf("%s is offered", i.Node)
			}
		}
	})
}
