package config

import (
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
)

// maxSocketPath is what a Unix socket's path may have at most (sun_path, less
// its zero).
const maxSocketPath = 107

func (p *parser) checkStore() {
	s := &p.c.Store
	if p.origin["store.url"] == "" || p.bad["store.url"] {
		return
	}
	u, err := url.Parse(s.URL.Reveal())
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Host == "" && u.RawQuery == "" {
		p.fault("store.url", "is not the URL of a PostgreSQL database", "write for example \"postgres://stox@db.example.com/stox\"") // not quoted: it may have a password in it
	}
	switch {
	case p.origin["store.path"] == "":
		s.Path = ""
		p.derive("store.path", "there is store.url")
	case s.Path != "":
		p.fault("store.path", "contradicts store.url", "keep one of the two")
	}
}

func (p *parser) checkAdmin() {
	a := &p.c.Admin
	p.secret("admin.token", "admin.token_file", &a.Token, a.TokenFile, p.tokenHint())
	if a.Listen != "" && !p.bad["admin.listen"] {
		if addr, ok := p.adminAddr(); ok {
			p.socket = append(p.socket, socket{"admin.listen", a.Listen, true, addr})
		}
	}
	if a.ShowBodies && a.Listen != "" && a.Token.Reveal() == "" && a.TokenFile == "" && !p.bad["admin.token"] {
		p.warn("admin.show_bodies", "shows the texts of messages to everybody on this machine", "set admin.token_file")
	}
	switch {
	case !p.built(keyAt("admin.socket")) || p.bad["admin.socket"]:
	case p.origin["admin.socket"] != "":
		p.given("admin.socket", a.Socket)
	default:
		path := p.c.Store.Path
		if path == "" && p.c.Store.URL != "" {
			path = keyAt("store.path").def.(string)
		}
		if path != "" {
			a.Socket = filepath.Join(filepath.Dir(path), "stox.sock")
			p.derive("admin.socket", "beside store.path")
		}
	}
	if len(a.Socket) > maxSocketPath {
		p.fault("admin.socket", "is longer than a socket's path may be", "107 bytes at most; /run/stox/stox.sock would do")
	}
}

// adminAddr is the address of admin.listen.
func (p *parser) adminAddr() (addr netip.AddrPort, ok bool) {
	host, port, err := splitHostPort(p.c.Admin.Listen, 9480)
	if !p.checkShape("admin.listen", err) {
		return addr, false
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.Zone() != "" {
		p.fault("admin.listen", Quote(p.c.Admin.Listen)+" must have an IP address for its host", "names can change, addresses to listen on cannot")
		return addr, false
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(port)), true
}

// tokenHint says why a token is needed: others than this machine can come to the
// door. "" if none is.
func (p *parser) tokenHint() string {
	host, _, err := splitHostPort(p.c.Admin.Listen, 9480)
	if err != nil || host == "localhost" || p.bad["admin.listen"] {
		return ""
	}
	if ip, err := netip.ParseAddr(host); err != nil || ip.Unmap().IsLoopback() {
		return ""
	}
	return "admin.listen " + Quote(p.c.Admin.Listen) + " can be reached from other machines: set it, or admin.token_file, or listen on 127.0.0.1"
}

func (p *parser) checkLog() {
	l := &p.c.Log
	if l.HEP != "off" && p.given("log.hep", l.HEP) {
		p.hostPort("log.hep", l.HEP, 9060)
	}
	if l.OTLP != "off" && p.given("log.otlp", l.OTLP) {
		if u, err := url.Parse(l.OTLP); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			p.fault("log.otlp", Quote(l.OTLP)+" is not an http:// or https:// URL", "write for example \"http://127.0.0.1:4318\"")
		} else if _, has := u.User.Password(); has || strings.Contains(u.RawQuery, "=") {
			p.warn("log.otlp", "has a password or a query in it, which the effective configuration shows", "")
		}
	}
}
