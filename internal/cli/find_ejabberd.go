package cli

import (
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
)

// ejabberd is what is of interest in ejabberd's configuration: of the YAML that
// it is, the block form that everybody writes.
type ejabberd struct {
	hosts     []place
	listen    place // the line "listen:"; line 0 if there is none
	indent    int   // of the dashes below it
	listeners []listener
	includes  []place
}

// listener is an item below listen:.
type listener struct {
	at     place
	port   int
	ip     string
	module string
	hosts  []place // of ejabberd_service
}

func findEjabberd(m machine) found {
	file, text, err := m.first("EJABBERD_CONFIG_PATH", "/etc/ejabberd/ejabberd.yml", "/opt/ejabberd/conf/ejabberd.yml", "/usr/local/etc/ejabberd/ejabberd.yml")
	f := found{path: file, err: err}
	if file == "" || err != nil {
		return f
	}
	e := &ejabberd{indent: 2}
	e.scan(file, text)
	var unread []place
	for _, in := range e.includes {
		if !path.IsAbs(in.name) {
			in.name = path.Join(path.Dir(file), in.name)
		}
		more, err := m.read(in.name)
		if err != nil {
			unread = append(unread, in)
			continue
		}
		listen, indent := e.listen, e.indent
		e.scan(in.name, more)
		if listen.line > 0 {
			e.listen, e.indent = listen, indent
		}
	}
	f.hosts = e.hosts
	f.place = func(component string) advice {
		a := e.place(file, component)
		for _, in := range unread {
			a.notes = append(a.notes, fmt.Sprintf("What %s includes was not looked at.", in))
		}
		return a
	}
	return f
}

// place decides where the component's listener goes and on which port it can be.
func (e *ejabberd) place(file, component string) advice {
	const reload = "Then: ejabberdctl reload_config"
	a := advice{indent: e.indent}
	for _, l := range e.listeners {
		if h, ok := named(l.hosts, component); ok {
			a.server = net.JoinHostPort(reachable(l.ip), strconv.Itoa(l.port))
			a.where = fmt.Sprintf("%s is there already (%s): give it the password above. %s", component, h, reload)
			return a
		}
	}
	port := 5347
	for {
		i := slices.IndexFunc(e.listeners, func(l listener) bool { return l.port == port })
		if i < 0 {
			break
		}
		a.notes = append(a.notes, fmt.Sprintf("Port %d is taken there by %s (%s), so this listener has another.", port, e.listeners[i].module, e.listeners[i].at))
		port++
	}
	a.server = fmt.Sprintf("127.0.0.1:%d", port)
	if e.listen.line > 0 {
		a.where = fmt.Sprintf("Put what is below \"listen:\" above into %s, directly below line %d, which is \"listen:\". %s", e.listen.file, e.listen.line, reload)
	} else {
		a.where = fmt.Sprintf("Put the text above at the end of %s, which has no \"listen:\" yet. %s", file, reload)
	}
	return a
}

// reachable is the address at which a listener is found from this machine.
func reachable(ip string) string {
	switch ip {
	case "", "0.0.0.0", "::", "localhost":
		return "127.0.0.1"
	}
	return ip
}

// scan reads a file line by line; what hangs together is told by how far lines
// are indented.
func (e *ejabberd) scan(file, text string) {
	section := ""     // the key at the left margin
	indent := -1      // of the dashes below listen:
	hostsIndent := -1 // of hosts: within a listener
	nameIndent := -1  // of the names below that
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = yamlLine(line)
		body := strings.TrimLeft(line, " ")
		if body == "" {
			continue
		}
		depth := len(line) - len(body)
		at := place{file: file, line: n}
		if depth == 0 && !strings.HasPrefix(body, "-") {
			var value string
			section, value = yamlPair(body)
			indent, hostsIndent, nameIndent = -1, -1, -1
			switch section {
			case "hosts":
				e.hosts = append(e.hosts, yamlList(value, at)...)
			case "include_config_file":
				e.includes = append(e.includes, yamlList(value, at)...)
			case "listen":
				e.listen = at
			}
			continue
		}
		item, dash := strings.CutPrefix(body, "-")
		switch section {
		case "hosts", "include_config_file":
			if nameIndent < 0 {
				nameIndent = depth
			}
			if key, _ := yamlPair(body); depth != nameIndent {
				// options of an included file
			} else if dash && section == "hosts" {
				e.hosts = append(e.hosts, yamlList(item, at)...)
			} else if dash {
				e.includes = append(e.includes, yamlList(item, at)...)
			} else if section != "hosts" {
				e.includes = append(e.includes, place{key, file, n}) // file: options
			}
		case "listen":
			if indent < 0 && dash {
				indent, e.indent = depth, depth
			}
			if dash && depth == indent {
				e.listeners = append(e.listeners, listener{at: at})
				hostsIndent = -1
				body = strings.TrimLeft(item, " ")
				depth += 1 + len(item) - len(body)
			}
			if len(e.listeners) == 0 || body == "" {
				continue
			}
			l := &e.listeners[len(e.listeners)-1]
			if hostsIndent >= 0 && depth <= hostsIndent {
				hostsIndent = -1
			}
			key, value := yamlPair(body)
			switch {
			case hostsIndent >= 0:
				if nameIndent < 0 {
					nameIndent = depth
				}
				if depth == nameIndent {
					l.hosts = append(l.hosts, place{key, file, n})
				}
			case key == "port":
				l.port, _ = strconv.Atoi(value)
			case key == "ip":
				l.ip = value
			case key == "module":
				l.module = value
			case key == "hosts":
				hostsIndent, nameIndent = depth, -1
			}
		}
	}
}

// yamlLine is a line without its comment and what stands at its end.
func yamlLine(line string) string {
	var quote byte
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t'):
			line = line[:i]
		}
	}
	return strings.TrimRight(line, " \t\r\n")
}

// yamlPair takes "key: value" apart, without quotes. value is "" if there is none.
func yamlPair(s string) (key, value string) {
	rest := s
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		if i := strings.IndexByte(s[1:], s[0]); i >= 0 {
			key, rest = s[1:1+i], s[2+i:]
			value = strings.TrimPrefix(strings.TrimSpace(rest), ":")
			return key, yamlText(value)
		}
	}
	key, value, ok := strings.Cut(rest, ": ")
	if !ok {
		key = strings.TrimSuffix(rest, ":")
	}
	return yamlText(key), yamlText(value)
}

func yamlText(s string) string { return strings.Trim(strings.TrimSpace(s), `"'`) }

// yamlList reads "a", or "[a, b]"; nothing from nothing.
func yamlList(s string, at place) (list []place) {
	s = strings.TrimSpace(s)
	s = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	for _, part := range strings.Split(s, ",") {
		if part = yamlText(part); part != "" {
			at.name = part
			list = append(list, at)
		}
	}
	return list
}
