package admin

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/pprof"
	"strings"
)

// HandleHealth puts /healthz and /readyz there: 200 if the process does its work, or can
// carry messages, else 503. Whoever is trusted is told why, in a line for each check or, with
// ?format=json or Accept: application/json, as Health.
func (w *Web) HandleHealth(of func() Health) {
	page := func(only string, good func(*Health) bool) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			h := of()
			status := http.StatusOK
			if !good(&h) {
				status = http.StatusServiceUnavailable
			}
			all := h.Checks
			h.Checks = []Check{}
			for _, c := range all {
				if w.Trusted(r) && (only == "" || c.Name == only) {
					h.Checks = append(h.Checks, c)
				}
			}
			if r.URL.Query().Get("format") == "json" || strings.Contains(r.Header.Get("Accept"), "application/json") {
				b, _ := json.Marshal(h) // strings and booleans
				rw.Header().Set("Content-Type", "application/json")
				rw.WriteHeader(status)
				_, _ = rw.Write(append(b, '\n'))
				return
			}
			rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
			rw.WriteHeader(status)
			word := "ok\n"
			if status != http.StatusOK {
				word = "fail\n"
			}
			_, _ = io.WriteString(rw, word+h.String())
		})
	}
	w.Handle("/healthz", Anybody, page(CheckProcess, func(h *Health) bool { return h.Alive }))
	w.Handle("/readyz", Anybody, page("", func(h *Health) bool { return h.Ready }))
}

// putProfiles puts the profiles of the Go runtime there. They say much about the process and
// cost it something, so they need the token on loopback, too.
func (w *Web) putProfiles() {
	w.Handle("/debug/pprof", Locked, http.NotFoundHandler()) // or the mux would redirect
	w.Handle("/debug/pprof/{$}", Locked, http.HandlerFunc(pprof.Index))
	for name, page := range map[string]http.HandlerFunc{"cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace} {
		w.Handle("/debug/pprof/"+name, Locked, page)
	}
	for _, name := range []string{"allocs", "block", "goroutine", "heap", "mutex", "threadcreate"} {
		w.Handle("/debug/pprof/"+name, Locked, pprof.Handler(name))
	}
}
