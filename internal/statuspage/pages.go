package statuspage

import (
	"bytes"
	"context"
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/history"
)

//go:embed templates static
var files embed.FS

// policy lets a page have what stox itself serves, and nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Pages are the pages of a Source. Run keeps them alive.
type Pages struct {
	source  Source
	web     *admin.Web
	log     *slog.Logger
	pages   func() map[string]*template.Template // made when the first of them is looked at
	samples samples
	hub     hub
	now     func() time.Time

	asking   chan struct{}        // whoever makes an overview is in it
	patience time.Duration        // with him
	last     atomic.Pointer[made] // the last one
}

// New makes the pages and puts them on the web. Call it before that runs.
func New(s Source, web *admin.Web, log *slog.Logger) *Pages {
	p := &Pages{source: s, web: web, log: log, now: time.Now, asking: make(chan struct{}, 1), patience: overviewWait}
	p.pages = sync.OnceValue(p.parse)
	web.Handle("/{$}", admin.Paged, http.HandlerFunc(p.showOverview))
	web.Handle("/messages", admin.Paged, http.HandlerFunc(p.showMessages))
	web.Handle("/m/{key}", admin.Paged, http.HandlerFunc(p.showMessage))
	web.HandleStream("/events", admin.Paged, p.events)
	web.HandleLogin(p.showLogin)
	for name, kind := range map[string]string{"style.css": "text/css; charset=utf-8", "live.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"} {
		web.Handle("/"+name, admin.Plain, file(name, kind))
	}
	return p
}

// parse makes the pages, which are built in.
func (p *Pages) parse() map[string]*template.Template {
	pages := make(map[string]*template.Template)
	for _, name := range []string{"overview", "messages", "message", "login"} {
		t := template.New("frame.html").Funcs(template.FuncMap{
			"shown": shown, "clock": clock, "machine": machine, "outcome": outcomeWords,
			"ago": func(t time.Time) string { return ago(t, p.now()) },
		})
		pages[name] = template.Must(t.ParseFS(files, "templates/frame.html", "templates/parts.html", "templates/"+name+".html"))
	}
	return pages
}

// file is one that belongs to the pages. Nothing in it is anybody's.
func file(name, kind string) http.Handler {
	b, err := files.ReadFile("static/" + name)
	if err != nil {
		panic(err) // it is built in
	}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", kind)
		_, _ = rw.Write(b)
	})
}

// newsEvery is how often those who look on are told at most.
const newsEvery = time.Second

// Run takes samples and tells those who look on that there is news, until ctx is done.
func (p *Pages) Run(ctx context.Context) error {
	sampled := time.NewTicker(sampleEvery)
	defer sampled.Stop()
	news := time.NewTicker(newsEvery)
	defer news.Stop()
	p.Sample(p.now(), p.source.Count())
	version := p.source.Book.Version()
	for {
		select {
		case <-sampled.C:
			p.Sample(p.now(), p.source.Count())
			p.hub.tell()
		case <-news.C:
			if v := p.source.Book.Version(); v != version {
				version = v
				p.hub.tell()
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// Sample takes the totals of a moment, for the plots. Run does that every ten seconds.
func (p *Pages) Sample(at time.Time, c Counters) { p.samples.add(at, c) }

// events tells a page that there is news.
func (p *Pages) events(s *admin.Stream) {
	news, leave := p.hub.subscribe()
	defer leave()
	for s.Wait(news) {
		if s.Send("change", "now") != nil {
			return
		}
	}
}

// frame is what all pages have.
type frame struct {
	Title   string
	Here    string // which part of the menu it is
	Name    string
	Version string
	Now     time.Time
	Refresh int    // seconds after which a browser without JavaScript loads it again; 0: never
	Again   string // this page, with that
	Still   string // this page, without
	Out     bool   // there is a session to be ended
	Live    bool   // it is worth to be kept up to date
	Page    any
}

// show writes a page.
func (p *Pages) show(rw http.ResponseWriter, r *http.Request, name string, f frame) {
	f.Name, f.Version, f.Now = p.source.Name, p.source.Version, p.now()
	f.Out = p.web.HasSession(r)
	q := r.URL.Query()
	if q.Get("refresh") == "30" {
		f.Refresh = 30
	}
	q.Del("refresh")
	f.Still = with(r.URL.Path, q.Encode())
	q.Set("refresh", "30")
	f.Again = with(r.URL.Path, q.Encode())
	var b bytes.Buffer
	if err := p.pages()[name].Execute(&b, f); err != nil {
		p.log.Error("a page cannot be shown", "page", name, "err", err)
		http.Error(rw, "This page cannot be shown; the log says why.", http.StatusInternalServerError)
		return
	}
	_, _ = rw.Write(b.Bytes())
}

func with(path, query string) string {
	if query == "" {
		return path
	}
	return path + "?" + query
}

// head sets what every page says to a browser. Call it before the status is written.
func head(rw http.ResponseWriter) {
	h := rw.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	// Not no-referrer: with that a browser says "Origin: null" of the form for the token, which
	// cannot be told from another site's where there is no Sec-Fetch-Site (HTTP off loopback).
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// showLogin asks for the token.
func (p *Pages) showLogin(rw http.ResponseWriter, r *http.Request, l admin.Login) {
	head(rw)
	rw.WriteHeader(l.Status)
	p.show(rw, r, "login", frame{Title: "Token", Page: l})
}

// outcomeWords are what is said of an outcome.
func outcomeWords(outcome string) string {
	switch outcome {
	case history.Open:
		return "under way"
	case history.Delivered:
		return "delivered"
	case history.Failed:
		return "not delivered"
	case history.Denied:
		return "not taken"
	case history.Unknown:
		return "handed over, not confirmed"
	case history.Uncertain:
		return "uncertain"
	}
	return outcome
}

// option is a choice of a form.
type option struct {
	Value, Name string
	Chosen      bool
}

func outcomes(chosen string) []option {
	all := []option{{Name: "any"}}
	for _, o := range history.Outcomes() {
		all = append(all, option{o, outcomeWords(o), o == chosen})
	}
	return all
}

// firstLine is text up to its end of line, of a bounded length.
func firstLine(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	if len(text) > 200 {
		text = text[:200]
	}
	return shown(strings.TrimSpace(text))
}
