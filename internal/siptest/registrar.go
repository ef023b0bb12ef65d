package siptest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Registrar answers REGISTER as RFC 3261 §10.3 says, as far as one client shows it: it keeps
// the bindings of an address by what is in the angle brackets of Contact. It has no clock: they end when they
// are taken back. Other requests get 200.
type Registrar struct {
	// Grant is how many seconds a binding is granted for; 0: what was asked for.
	Grant int

	mu       sync.Mutex // guards the following
	script   func(n int, m *Message) string
	requests []*Message // REGISTER only
	bindings []binding
}

type binding struct{ of, uri string }

// Script sets how the n-th REGISTER (from 0) is answered from now on. Where f gives "" the
// registrar answers by itself; "-" is no answer.
func (r *Registrar) Script(f func(n int, m *Message) string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.script = f
}

// Requests are the REGISTERs so far; retransmissions count.
func (r *Registrar) Requests() []*Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// Bindings are the URIs that are bound now.
func (r *Registrar) Bindings() (uris []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.bindings {
		uris = append(uris, b.uri)
	}
	return uris
}

// BindingsOf are those of an address, such as "sip:juliet@example.com".
func (r *Registrar) BindingsOf(address string) (uris []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.bindings {
		if b.of == address {
			uris = append(uris, b.uri)
		}
	}
	return uris
}

// Bind enters a binding that somebody else has made.
func (r *Registrar) Bind(address, uri string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bindings = append(r.bindings, binding{address, uri})
}

// Forget loses all bindings, as a registrar does that is started again.
func (r *Registrar) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bindings = nil
}

// Answer answers a request; "" is no answer. It is for Peer.Answer, and for others.
func (r *Registrar) Answer(m *Message) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.Method() != "REGISTER" {
		return m.Reply(200, "OK")
	}
	n := len(r.requests)
	r.requests = append(r.requests, m)
	if r.script != nil {
		switch s := r.script(n, m); s {
		case "":
		case "-":
			return ""
		default:
			return s
		}
	}
	return r.bind(m)
}

// bind enters or takes out a binding and answers with those that there are.
func (r *Registrar) bind(m *Message) string {
	expires := m.Get("Expires")
	of, _, _ := strings.Cut(strings.Trim(m.Get("To"), "<>"), ">")
	uri, params, ok := strings.Cut(strings.TrimPrefix(m.Get("Contact"), "<"), ">")
	if !ok {
		return m.Reply(200, "OK")
	}
	if _, v, has := strings.Cut(params, ";expires="); has {
		expires, _, _ = strings.Cut(v, ";")
	}
	r.bindings = slices.DeleteFunc(r.bindings, func(b binding) bool { return b == binding{of, uri} })
	if expires == "0" {
		return m.Reply(200, "OK")
	}
	r.bindings = append(r.bindings, binding{of, uri})
	if r.Grant > 0 {
		expires = fmt.Sprint(r.Grant)
	}
	var lines []string
	for _, b := range r.bindings {
		if b.of == of {
			lines = append(lines, "Contact: <"+b.uri+">;expires="+expires)
		}
	}
	return m.Reply(200, "OK", lines...)
}
