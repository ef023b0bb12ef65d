package config

import (
	"slices"
	"strings"
)

// kind is the type of a key's value.
type kind int

const (
	kindString   kind = iota
	kindBool          // true, false
	kindInt           // a whole number
	kindDuration      // a string such as "5s"; a number has no unit and is refused
	kindList          // a list of strings
	kindTables        // [[name]], any number of them
)

func (k kind) String() string {
	switch k {
	case kindBool:
		return "true or false"
	case kindInt:
		return "a whole number"
	case kindDuration:
		return "a duration in quotes"
	case kindList:
		return "a list of strings"
	case kindTables:
		return "a list of tables"
	}
	return "a string"
}

// key is one key of the file.
//
// A key that is not built is known by name only: setting it is an error, so that
// nobody relies on what does not happen. Its type, its default and what it must
// not contradict are written down and tested all the same: to switch it on is to
// say built here and to write the files that are made from the schema again
// (go generate ./internal/config ./internal/cli).
type key struct {
	path     string   // "sip.domain"; the field of a table: "sip.route.via"
	kind     kind     //
	def      any      // the default: string, bool, int, []string, time.Duration; nil if there is none
	defText  string   // what the default is when it is derived from other keys
	values   []string // the only values allowed, if there are only some; also for numbers
	later    []string // values that are planned and that this version does not have
	min, max int64    // of a kindInt, or of a kindDuration in nanoseconds; 0 = the kind's own bound
	empty    string   // what the empty string means; "" = it may not be empty
	file     bool     // a path; a relative one starts at the directory of the file
	live     bool     // may change while the daemon runs
	built    bool     // does something in this version
	secret   bool     // the value must not be seen
	must     bool     // has to be set
	oneOf    []string // one of these keys has to be set
	example  string   // a value for the annotated example, TOML
	doc      string   // one or more sentences for the reference
}

// Reloads says whether this version reads the file again on SIGHUP. The
// reference speaks of live keys when it does.
const Reloads = true

// transport is what sip.listen and the via of a route may name. Like a key, it
// is switched on by saying built.
type transport struct {
	name  string
	tcp   bool // on TCP, so that it shares its ports
	port  int  // when none is said
	built bool
}

var transports = []transport{
	{name: "udp", port: 5060, built: true},
	{name: "tcp", tcp: true, port: 5060, built: true},
	{name: "tls", tcp: true, port: 5061, built: true},
	{name: "ws", tcp: true, port: 80, built: true},
	{name: "wss", tcp: true, port: 443, built: true},
}

// transportNamed finds a transport, nil if there is none.
func transportNamed(name string) *transport {
	i := slices.IndexFunc(transports, func(t transport) bool { return t.name == name })
	if i < 0 {
		return nil
	}
	return &transports[i]
}

// section is the part of the path before the last dot.
func (k *key) section() string {
	i := strings.LastIndexByte(k.path, '.')
	return k.path[:max(i, 0)]
}

// name is the part of the path after the last dot.
func (k *key) name() string { return k.path[strings.LastIndexByte(k.path, '.')+1:] }

// env is the key's name in the environment, "" if it has none: the fields of
// tables can only be set in the file.
func (k *key) env() string {
	if k.kind == kindTables || tableOf(k.path) != nil {
		return ""
	}
	return envName(k.path)
}

// fileOf is the secret that this key names the file of, nil if it is no such
// key: xmpp.secret for xmpp.secret_file.
func (k *key) fileOf() *key {
	base, ok := strings.CutSuffix(k.path, "_file")
	if s := keyAt(base); ok && s != nil && s.secret {
		return s
	}
	return nil
}

const envPrefix = "STOX_"

func envName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// keyAt finds a key by its path without indices, nil if there is none.
func keyAt(path string) *key { return byPath[path] }

// tableOf is the [[table]] that path is a field of, nil if it is none.
func tableOf(path string) *key {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return nil
	}
	if k := byPath[path[:i]]; k != nil && k.kind == kindTables {
		return k
	}
	return nil
}

var byPath = func() map[string]*key {
	m := make(map[string]*key, len(schema))
	for i := range schema {
		m[schema[i].path] = &schema[i]
	}
	return m
}()

// sections are the names in front of the dot: [xmpp], [sip], …
var sections = func() (names []string) {
	for i := range schema {
		k := &schema[i]
		if s := k.section(); s != "" && tableOf(k.path) == nil && !slices.Contains(names, s) {
			names = append(names, s)
		}
	}
	return names
}()

// sectionDoc says what a section is about, for the reference.
var sectionDoc = map[string]string{
	"":         "Keys outside of any section; they stand before the first `[section]`.",
	"xmpp":     "The XMPP server that stox is a component of.",
	"sip":      "The SIP side.",
	"access":   "Who may use the gateway.",
	"accounts": "Users' own SIP accounts.",
	"limits":   "What one user, one peer and one packet may ask of us.",
	"queue":    "Messages that wait for their destination.",
	"store":    "What outlives a restart.",
	"admin":    "The administrator's own door.",
	"log":      "What is logged, to standard error.",
}

// exampleSecret is the secret in the annotated example. It is refused, so that
// no daemon runs with a secret that everybody can read in the manual.
const exampleSecret = "change-me"
