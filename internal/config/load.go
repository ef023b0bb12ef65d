package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
)

// delimiter joins the parts of a key inside viper. It occurs in no key; with the
// usual dot a table keyed by a domain name would lose its values.
const delimiter = "::"

// maxFileBytes bounds the configuration file and the files it names.
const maxFileBytes = 1 << 20

// A Judge knows more about values than this package: what addresses mean. It
// returns nil or an *Error. It is also asked about configurations that have
// faults already, so that all of them are reported at once; what it says about a
// value that has one is dropped.
type Judge func(*Config) error

// Load reads the TOML file at path and the STOX_ variables of environ (as of
// os.Environ), which win over the file. The error is an *Error with every fault
// found; the Config is nil then.
func Load(path string, environ []string, judges ...Judge) (*Config, error) {
	return newLoader(judges).load(path, environ)
}

// Parse is Load for a text that is not in a file yet; name is what faults call
// it, and relative paths in it start at the directory of name.
func Parse(name string, text []byte, environ []string, judges ...Judge) (*Config, error) {
	return newLoader(judges).parse(name, text, 0, environ)
}

// loader is what Load needs of the machine.
type loader struct {
	readFile func(path string) ([]byte, fs.FileMode, error)
	ownAddrs func() []netip.Addr // of the network interfaces
	judges   []Judge
	running  *Config // of a daemon, whose keys that are not live stand; nil: there is none
	all      bool    // every key counts as built, so that tests reach what is to come
}

func newLoader(judges []Judge) *loader {
	return &loader{readFile: readFile, ownAddrs: ownAddrs, judges: judges}
}

func (l *loader) load(path string, environ []string) (*Config, error) {
	text, mode, err := l.readFile(path)
	if err != nil {
		return nil, &Error{File: path, Faults: []Fault{{Path: path, Text: cannotRead(err), Hint: readHint(path, err)}}}
	}
	return l.parse(path, text, mode, environ)
}

// readHint is what to do about a configuration file that cannot be read.
func readHint(path string, err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "it must be readable by the user that stox runs as"
	case errors.Is(err, errDirectory):
		return "name the file in it, such as " + filepath.Join(path, "stox.toml")
	case errors.Is(err, fs.ErrNotExist):
		return "stox init makes a first one, -c names another"
	}
	return ""
}

// built reports whether a key does something here.
func (l *loader) built(k *key) bool { return l.all || k.built }

// built is the same for a configuration that is there.
func (c *Config) built(k *key) bool { return c.all || k.built }

func (l *loader) parse(path string, text []byte, mode fs.FileMode, environ []string) (*Config, error) {
	c, err := l.look(path, text, mode, environ)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// look is parse that gives what it could make of a text with faults, too: nil if that is no
// TOML.
func (l *loader) look(path string, text []byte, mode fs.FileMode, environ []string) (*Config, error) {
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		return nil, &Error{File: path, Faults: []Fault{{Path: path, Text: "is no text in UTF-8", Hint: "is it the right file? An editor can save it as UTF-8"}}}
	}
	p := &parser{loader: l, file: path, bad: map[string]bool{}, origin: map[string]string{}, envOf: map[string]string{}}
	v := viper.NewWithOptions(viper.KeyDelimiter(delimiter), viper.WithDecoderRegistry(p))
	v.SetConfigType("toml")
	for i := range schema {
		if k := &schema[i]; p.built(k) && k.def != nil && tableOf(k.path) == nil {
			v.SetDefault(strings.ReplaceAll(k.path, ".", delimiter), k.def)
		}
	}
	parsed := v.ReadConfig(bytes.NewReader(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))) // a byte order mark, as Windows writes it
	if parsed != nil {
		p.faults = append(p.faults, syntaxFault(path, parsed))
	}
	p.readEnviron(v, environ)
	if parsed != nil {
		return nil, p.err() // what the file says is unknown, so is what it means
	}

	c := &Config{origin: p.origin, all: l.all}
	err := v.UnmarshalExact(c, viper.DecodeHook(strictDurations), func(d *mapstructure.DecoderConfig) { d.WeaklyTypedInput = false })
	if err != nil && len(p.faults) == 0 {
		// The parser lets nothing through that does not fit; this is the second lock.
		p.faults = append(p.faults, Fault{Path: path, Text: "does not fit the schema: " + oneLine(err.Error())})
	}
	p.c = c
	p.check()
	p.judge()
	if p.c.XMPP.Secret != "" && p.origin["xmpp.secret"] == fromFile && mode.Perm()&0o027 != 0 {
		p.warn("xmpp.secret", fmt.Sprintf("%s can be read by other users (mode %04o)", path, mode.Perm()), "chmod 600 "+path)
	}
	if len(p.faults) > 0 {
		return c, p.err()
	}
	return c, nil
}

// Socket is admin.socket as the file and environ have it, whatever else in them is at fault:
// whoever wants to ask the daemon need not know its secrets. An error says that the file
// cannot be read at all.
func Socket(path string, environ []string) (string, error) {
	l := newLoader(nil)
	text, mode, err := l.readFile(path)
	if err != nil {
		_, err := l.load(path, environ) // which says how to mend that
		return "", err
	}
	c, err := l.look(path, text, mode, environ)
	if c == nil {
		return "", err
	}
	return c.Admin.Socket, nil
}

// parser turns one file and one environment into a Config.
type parser struct {
	*loader
	file   string
	c      *Config
	faults []Fault
	bad    map[string]bool   // paths that have a fault already
	origin map[string]string // path -> where the value came from
	envOf  map[string]string // path -> the variable that set it
	socket []socket          // what we listen on
}

// Where a value came from.
const (
	fromFile    = "file"
	fromDefault = "default"
	derived     = "derived: " // and from what
)

// maxFaults is enough to see what is wrong; a file that is not for us at all
// has thousands.
const maxFaults = 100

// fault notes that path is wrong. A value from the environment is mended there.
func (p *parser) fault(path, text, hint string) {
	p.bad[path] = true
	if name, ok := p.envOf[stripIndices(path)]; ok {
		path = name
	}
	p.faults = append(p.faults, Fault{Path: path, Text: text, Hint: hint})
}

func (p *parser) warn(path, text, hint string) {
	p.c.Warnings = append(p.c.Warnings, Fault{Path: path, Text: text, Hint: hint})
}

// judge asks those who know more. What they say about a value that is known to be
// wrong is a consequence of that; so is what they say about one that nobody set,
// if there is any fault.
func (p *parser) judge() {
	sound := len(p.faults) == 0
	for _, judge := range p.judges {
		var e *Error
		if err := judge(p.c); err == nil {
			continue
		} else if !errors.As(err, &e) {
			e = &Error{Faults: []Fault{{Text: err.Error()}}}
		}
		for _, f := range e.Faults {
			f.Text, f.Hint = oneLine(f.Text), oneLine(f.Hint)
			switch {
			case keyAt(stripIndices(f.Path)) != nil:
				if !p.badNear(f.Path) && (sound || p.isSet(f.Path)) {
					p.fault(f.Path, f.Text, f.Hint)
				}
			case sound: // not about one key
				p.faults = append(p.faults, Fault{Path: p.file, Text: strings.TrimPrefix(f.Path+": "+f.Text, ": "), Hint: f.Hint})
			}
		}
	}
}

// isSet reports whether the value at path comes from the file or the environment.
func (p *parser) isSet(path string) bool {
	origin := p.origin[path]
	if i := strings.LastIndexByte(path, '['); origin == "" && strings.HasSuffix(path, "]") {
		origin = p.origin[path[:i]] // an element of a list
	}
	return origin != "" && origin != fromDefault && !strings.HasPrefix(origin, derived)
}

// badNear reports whether path, a part of it or what it is a part of has a fault.
func (p *parser) badNear(path string) bool {
	for bad := range p.bad {
		if bad == path || strings.HasPrefix(bad, path+"[") || strings.HasPrefix(bad, path+".") || strings.HasPrefix(path, bad+"[") || strings.HasPrefix(path, bad+".") {
			return true
		}
	}
	return false
}

// err is the faults in the order of the schema, table by table; what no key
// answers to comes first.
func (p *parser) err() error {
	faults := p.faults
	slices.SortStableFunc(faults, func(a, b Fault) int {
		rootA, indexA, _ := strings.Cut(a.Path, "[")
		rootB, indexB, _ := strings.Cut(b.Path, "[")
		return cmp.Or(
			cmp.Compare(schemaOrder(rootA), schemaOrder(rootB)),
			cmp.Compare(leadingInt(indexA), leadingInt(indexB)),
			cmp.Compare(schemaOrder(stripIndices(a.Path)), schemaOrder(stripIndices(b.Path))))
	})
	if n := len(faults); n > maxFaults {
		faults = append(faults[:maxFaults:maxFaults], Fault{Path: p.file, Text: fmt.Sprintf("%d more faults are not shown", n-maxFaults)})
	}
	return &Error{File: p.file, Faults: faults}
}

// schemaOrder is the place of a key, or of its name in the environment.
func schemaOrder(path string) int {
	return slices.IndexFunc(schema, func(k key) bool { return k.path == path || k.env() == path })
}

// leadingInt reads the index in front of a "]".
func leadingInt(s string) int {
	s, _, _ = strings.Cut(s, "]")
	n, _ := strconv.Atoi(s)
	return n
}

// stripIndices makes sip.route[2].via sip.route.via.
func stripIndices(path string) string {
	var b strings.Builder
	for path != "" {
		before, after, ok := strings.Cut(path, "[")
		b.WriteString(before)
		if !ok {
			break
		}
		_, path, _ = strings.Cut(after, "]")
	}
	return b.String()
}

// strictDurations lets a duration be a string with a unit only: by default a
// bare 5 is silently five nanoseconds.
func strictDurations(from, to reflect.Type, data any) (any, error) {
	if to != reflect.TypeFor[time.Duration]() || from == to {
		return data, nil
	}
	s, ok := data.(string)
	if !ok {
		return nil, fmt.Errorf("a duration must be a string, not %s", from)
	}
	return time.ParseDuration(s)
}

// syntaxFault says where the text stops being TOML. The library's message may
// quote a number, which may be a secret that somebody forgot to put in quotes.
func syntaxFault(file string, err error) Fault {
	f := Fault{Path: file, Hint: `text values stand in double quotes: key = "value"`}
	var at interface{ Position() (row, col int) }
	if errors.As(err, &at) {
		row, col := at.Position()
		f.Path = fmt.Sprintf("%s:%d:%d", file, row, col)
	}
	if e := errors.Unwrap(err); e != nil {
		err = e
	}
	text := strings.TrimPrefix(oneLine(err.Error()), "toml: ")
	text, _, _ = strings.Cut(text, ": strconv.")
	noValue := func(prefix string) bool { return strings.HasPrefix(text, prefix) }
	switch {
	case slices.ContainsFunc([]string{"expected '", "incomplete number", "unable to parse", "couldn't parse", "float can"}, noValue):
		text = "there is no value that could be read" // the library took a word without quotes for a number, or for true
	case strings.Contains(text, "already"):
		f.Hint = "write each key and each [section] once"
	}
	f.Text = "not valid TOML: " + text
	return f
}

// oneLine keeps a foreign error text from breaking ours.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
}

var errDirectory = errors.New("is a directory")

// readFile reads a small file and tells who may read it.
func readFile(path string) ([]byte, fs.FileMode, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	if info.IsDir() {
		return nil, 0, errDirectory
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, 0, err
	}
	if len(b) > maxFileBytes {
		return nil, 0, errors.New("is larger than 1 MiB")
	}
	return b, info.Mode(), nil
}

// cannotRead is the error of readFile without the path, which stands in front.
func cannotRead(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return "cannot be read: " + oneLine(err.Error())
}

// ownAddrs are the addresses of this machine's interfaces; none if the system
// does not tell.
func ownAddrs() []netip.Addr {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var own []netip.Addr
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				own = append(own, ip.Unmap())
			}
		}
	}
	return own
}
