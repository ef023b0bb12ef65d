package commands

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// A text of a megabyte, control characters and bytes that are no text: each is answered, with
// something short.
func TestHostileTexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		for _, c := range w.desk.all {
			for _, text := range []string{strings.Repeat("A", 1<<20), strings.Repeat("a@b.example ", 1<<16), "\x00\x1b[31m\r\n\u202e", "\xff\xfe", "%s%n%d", "<a xmlns='b'>&", strings.Repeat("\n", 1<<20), "@", "/", "sip:"} {
				time.Sleep(5 * time.Second)
				fields := []string{}
				for _, name := range []string{"address", "password", "username", "registrar", "name", "do", "confirm", "language", "level", "max_items", "accountjids", "blacklistjids"} {
					fields = append(fields, name, text)
				}
				w.accounts.fault = &Problem{Kind: "bad-address"}
				r := w.begin(boss, c.node)
				if r.Status == stateExecuting {
					r, _ = w.submit(r, boss, actExecute, fields...)
				}
				if n := len(described(r)) + len(shown(r.Form)); n > 1<<14 {
					t.Errorf("%s: %.20q is answered with %d octets", c.node, text, n)
				}
				for _, word := range english.Commands[c.node].Words {
					if c.node == nodeHelp {
						continue
					}
					if got := w.text(boss, word+" "+text, ""); len(got) > 1<<14 {
						t.Errorf("%s: %.20q is answered with %d octets in a chat", word, text, len(got))
					}
				}
				w.accounts.fault = nil
			}
		}
	})
}

// SEC-14: a password is nowhere in what the desk says, logs or keeps.
func TestThePasswordIsNowhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		leaks := func(where, s string) {
			t.Helper()
			if strings.Contains(s, secret) || strings.Contains(strings.ToLower(s), strings.ToLower(secret)) {
				t.Errorf("the password is in %s: %s", where, s)
			}
		}
		for _, fault := range []error{nil, &Problem{Kind: "wrong-password", Status: 403}, &Problem{Kind: "no-answer"}, fmt.Errorf("a fault with %s in it", secret)} {
			for _, address := range []string{"juliet@pbx.example.net", "", "@@"} {
				w.accounts.fault = fault
				w.text(juliet, "account set "+address+" "+secret, "")
				w.text(juliet, "account set "+address+" "+secret+" a b c d e", "")
				w.text(juliet, "konto setzen "+address+" "+secret, "")
				w.chat(juliet, "acount set "+address+" "+secret, "")
				r := w.begin(juliet, "account")
				if strings.Contains(shown(r.Form), "do (list-single)") {
					r, _ = w.submit(r, juliet, actNext, "do", "change")
				}
				r, _ = w.submit(r, juliet, actComplete, "address", address, "password", secret)
				w.submit(r, juliet, "explode", "password", secret)
				w.desk.Register(&mapping.XMPPRegister{From: jid(juliet), To: jid(gateway), ID: w.id(), Set: true, Fields: submitted("username", address, "password", secret).Fields})
				w.desk.Register(&mapping.XMPPRegister{From: jid(juliet), To: jid(gateway), ID: w.id(), Set: true, Form: submitted("username", address, "password", secret)})
				w.next()
				for _, node := range []string{"account", "messages", "help"} {
					w.begin(juliet, node)
				}
				for _, node := range []string{"status", "accounts"} {
					w.begin(boss, node)
				}
				w.desk.Register(&mapping.XMPPRegister{From: jid(juliet), To: jid(gateway), ID: w.id()})
				w.next()
				time.Sleep(20 * time.Second)
			}
		}
		if len(w.accounts.secrets) < 10 {
			t.Fatalf("the password was given only %d times", len(w.accounts.secrets))
		}
		for _, v := range w.said {
			s := fmt.Sprintf("%+v", v)
			switch v := v.(type) {
			case *mapping.XMPPCommandReply:
				s += fmt.Sprintf("%+v %+v", v.Form, v.Failure)
			case *mapping.XMPPRegisterReply:
				s += fmt.Sprintf("%+v %+v", v.Form, v.Failure)
			case *mapping.XMPPError:
				s += fmt.Sprintf("%+v", v.Failure)
			}
			leaks("what is said", s)
		}
		leaks("the log", w.log.String())
		w.desk.mu.Lock()
		defer w.desk.mu.Unlock()
		for _, s := range w.desk.sessions.byID {
			leaks("a session", fmt.Sprintf("%+v", *s))
		}
		if len(w.desk.open) != 0 {
			t.Errorf("%d calls are kept", len(w.desk.open))
		}
	})
}

// What people are told is in internal/texts: a sentence in this package would be in one
// language only. Sentences for the log are excepted.
func TestNoSentencesHere(t *testing.T) {
	sentence := regexp.MustCompile(`\b[a-z]+ |[A-Za-z]+ [a-z]+`)
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
					if of, ok := sel.X.(*ast.SelectorExpr); ok && of.Sel.Name == "log" {
						return false
					}
				}
			}
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				seen++
				if s, err := strconv.Unquote(lit.Value); err != nil || sentence.MatchString(s) {
					t.Errorf("%s has the text %s, which belongs into internal/texts", file.Name(), lit.Value)
				}
			}
			return true
		})
	}
	if seen < 100 {
		t.Errorf("only %d texts were looked at", seen)
	}
}
