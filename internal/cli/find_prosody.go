package cli

import (
	"cmp"
	"fmt"
	"net"
	"path"
	"slices"
	"strings"
)

// prosody is what is of interest in Prosody's configuration. That is a program in
// Lua; what is read here is the plain form that everybody writes.
type prosody struct {
	m          machine
	hosts      []place
	components []place
	includes   []place // name is the pattern, as an absolute path
	settings   map[string][]string
	computed   []string // settings whose value is not written down
	unread     []string // included files that cannot be read
	depth      int
}

func findProsody(m machine) found {
	file, text, err := m.first("PROSODY_CONFIG", "/etc/prosody/prosody.cfg.lua", "/usr/local/etc/prosody/prosody.cfg.lua")
	f := found{path: file, err: err}
	if file == "" || err != nil {
		return f
	}
	p := &prosody{m: m, settings: map[string][]string{}}
	p.scan(file, text)
	f.hosts = p.hosts
	f.place = func(component string) advice { return p.place(file, component) }
	return f
}

// place decides where the component's entry goes.
func (p *prosody) place(file, component string) advice {
	a := advice{server: p.server(), indent: -1}
	restart := "Then restart Prosody; a reload does not open its port for components."
	if c, ok := named(p.components, component); ok {
		a.where = fmt.Sprintf("%s is there already (%s): replace its lines by the text above. %s", component, c, restart)
	} else if in, new := p.includeFor("stox.cfg.lua"); new != "" {
		a.where = fmt.Sprintf("Put the text above into %s, which %s includes (line %d). %s", new, in.file, in.line, restart)
	} else {
		a.where = fmt.Sprintf("Put the text above at the very end of %s, which includes no directory. %s", file, restart)
	}
	for _, name := range p.computed {
		a.notes = append(a.notes, fmt.Sprintf("The value of %s is computed there: check that xmpp.server fits it.", name))
	}
	for _, file := range p.unread {
		a.notes = append(a.notes, fmt.Sprintf("What %s includes was not looked at.", file))
	}
	return a
}

// includeFor finds an include that takes a new file of that name, and the file;
// "" if there is none.
func (p *prosody) includeFor(name string) (in place, file string) {
	for _, in := range p.includes {
		glob := path.Base(in.name)
		if ok, _ := path.Match(glob, name); ok && strings.ContainsAny(glob, "*?") {
			return in, path.Join(path.Dir(in.name), name)
		}
	}
	return place{}, ""
}

// server is where Prosody waits for components: on loopback, port 5347, unless
// it is told otherwise.
func (p *prosody) server() string {
	port, host := "5347", "127.0.0.1"
	if v := cmp.Or(first(p.settings["component_ports"]), first(p.settings["component_port"])); v != "" {
		port = v
	}
	interfaces := slices.Concat(p.settings["component_interfaces"], p.settings["component_interface"])
	if len(interfaces) == 0 {
		interfaces = p.settings["local_interfaces"]
	}
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(interfaces, n) })
	}
	switch {
	case len(interfaces) == 0 || has("127.0.0.1", "*", "0.0.0.0", "localhost"):
	case has("::", "::1"):
		host = "::1"
	default:
		host = interfaces[0]
	}
	return net.JoinHostPort(host, port)
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// maxIncludes bounds files that include each other.
const maxIncludes = 8

// scan reads one file and what it includes.
func (p *prosody) scan(file, text string) {
	tokens := luaTokens(text)
	global := true // what follows is not about one host
	depth := 0
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		switch t.text {
		case "{", "(":
			depth++
		case "}", ")":
			depth--
		}
		if t.kind != luaName {
			continue
		}
		arg, after, ok := luaArgument(tokens[i+1:])
		at := place{arg.text, file, t.line}
		switch name := strings.ToLower(t.text); {
		case (name == "virtualhost" || name == "host") && ok:
			global = false
			p.hosts = append(p.hosts, at)
		case name == "component" && ok:
			global = false
			if _, _, module := luaArgument(after); !module { // with one it is Prosody's own
				p.components = append(p.components, at)
			}
		case name == "include" && ok:
			p.include(file, at)
		case depth == 0 && global && slices.Contains(portSettings, t.text) && len(tokens) > i+1 && tokens[i+1].text == "=":
			values, plain := luaValues(tokens[i+2:])
			if p.settings[t.text] = values; !plain {
				p.computed = append(p.computed, t.text)
			}
		}
	}
}

var portSettings = []string{"component_ports", "component_port", "component_interfaces", "component_interface", "local_interfaces"}

func (p *prosody) include(file string, in place) {
	if !path.IsAbs(in.name) {
		in.name = path.Join(path.Dir(file), in.name)
	}
	p.includes = append(p.includes, in)
	if p.depth == maxIncludes {
		return
	}
	p.depth++
	defer func() { p.depth-- }()
	files := []string{in.name}
	if strings.ContainsAny(in.name, "*?") {
		files = p.m.glob(in.name)
		if len(files) == 0 && !p.m.canList(path.Dir(in.name)) {
			p.unread = append(p.unread, in.String())
		}
	}
	for _, f := range files {
		if text, err := p.m.read(f); err == nil {
			p.scan(f, text)
		} else {
			p.unread = append(p.unread, in.String())
		}
	}
}

// The tokens of Lua, as far as they are of interest.

type luaKind int

const (
	luaSymbol luaKind = iota
	luaName
	luaString
	luaNumber
)

type luaToken struct {
	kind luaKind
	text string // of a string: what it stands for
	line int
}

// luaArgument is the string that a function is called with, and what follows:
// f "x", f ("x").
func luaArgument(tokens []luaToken) (arg luaToken, after []luaToken, ok bool) {
	if len(tokens) > 0 && tokens[0].kind == luaString {
		return tokens[0], tokens[1:], true
	}
	if len(tokens) > 2 && tokens[0].text == "(" && tokens[1].kind == luaString && tokens[2].text == ")" {
		return tokens[1], tokens[3:], true
	}
	return luaToken{}, nil, false
}

// luaValues reads a number, a string or a list of them; plain is false if it is
// anything else.
func luaValues(tokens []luaToken) (values []string, plain bool) {
	if len(tokens) == 0 {
		return nil, false
	}
	if t := tokens[0]; t.kind == luaString || t.kind == luaNumber {
		return []string{t.text}, true
	}
	if tokens[0].text != "{" {
		return nil, false
	}
	for _, t := range tokens[1:] {
		switch {
		case t.kind == luaString || t.kind == luaNumber:
			values = append(values, t.text)
		case t.kind == luaSymbol && t.text == "}":
			return values, true
		case t.text != "," && t.text != ";":
			return nil, false
		}
	}
	return nil, false
}

// luaTokens takes a text apart; comments are left out.
func luaTokens(s string) (tokens []luaToken) {
	line := 1
	for s != "" {
		c := s[0]
		n := 1
		switch {
		case c == '\n' || c == ' ' || c == '\t' || c == '\r':
		case strings.HasPrefix(s, "--"):
			if _, size := luaLong(s[2:]); size > 0 {
				n = 2 + size
			} else if n = strings.IndexByte(s, '\n'); n < 0 {
				n = len(s)
			}
		case c == '[' && luaLongSize(s) > 0:
			var text string
			text, n = luaLong(s)
			tokens = append(tokens, luaToken{luaString, text, line})
		case c == '"' || c == '\'':
			var text string
			text, n = luaQuoted(s)
			tokens = append(tokens, luaToken{luaString, text, line})
		case '0' <= c && c <= '9':
			for n < len(s) && ('0' <= s[n] && s[n] <= '9' || s[n] == '.') {
				n++
			}
			tokens = append(tokens, luaToken{luaNumber, s[:n], line})
		case c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z':
			for n < len(s) && (s[n] == '_' || 'a' <= s[n]|0x20 && s[n]|0x20 <= 'z' || '0' <= s[n] && s[n] <= '9') {
				n++
			}
			tokens = append(tokens, luaToken{luaName, s[:n], line})
		default:
			tokens = append(tokens, luaToken{luaSymbol, s[:1], line})
		}
		line += strings.Count(s[:n], "\n")
		s = s[n:]
	}
	return tokens
}

// luaQuoted reads a string in quotes; n is its length in s, quotes included.
func luaQuoted(s string) (text string, n int) {
	var b strings.Builder
	for n = 1; n < len(s); n++ {
		switch s[n] {
		case s[0]:
			return b.String(), n + 1
		case '\n': // not closed
			return b.String(), n
		case '\\':
			if n++; n < len(s) {
				b.WriteByte(s[n]) // names and ports need no more
			}
		default:
			b.WriteByte(s[n])
		}
	}
	return b.String(), len(s)
}

// luaLong reads [[…]] or [==[…]==]; size is 0 if s does not begin with one.
func luaLong(s string) (text string, size int) {
	size = luaLongSize(s)
	if size == 0 {
		return "", 0
	}
	level := strings.Count(s[:strings.IndexByte(s[1:], '[')+1], "=")
	return s[level+2 : max(level+2, size-level-2)], size
}

// luaLongSize is the length of the long bracket at the start of s, 0 if there is
// none. One that is not closed goes to the end.
func luaLongSize(s string) int {
	if !strings.HasPrefix(s, "[") {
		return 0
	}
	level := len(s[1:]) - len(strings.TrimLeft(s[1:], "="))
	if !strings.HasPrefix(s[1+level:], "[") {
		return 0
	}
	end := "]" + strings.Repeat("=", level) + "]"
	if i := strings.Index(s, end); i >= 0 {
		return i + len(end)
	}
	return len(s)
}
