package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// machine is where the configuration of an XMPP server is looked for. It is only
// read from; no program is run.
type machine struct {
	root    string // stands in front of every path; "" on this machine
	environ []string
}

// at is where a path of the server's is for us.
func (m machine) at(path string) string {
	if m.root == "" {
		return path
	}
	return filepath.Join(m.root, path)
}

// maxServerFile is more than any server's configuration has.
const maxServerFile = 4 << 20

// read reads a file by the path that the server has for it.
func (m machine) read(path string) (string, error) {
	f, err := os.Open(m.at(path))
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", errors.New("is no ordinary file")
	}
	b, err := io.ReadAll(io.LimitReader(f, maxServerFile))
	return string(b), err
}

// glob is filepath.Glob for paths that the server has. An unreadable directory
// has no files in it.
func (m machine) glob(pattern string) []string {
	found, _ := filepath.Glob(m.at(pattern))
	if m.root != "" {
		for i, f := range found {
			found[i] = strings.TrimPrefix(f, filepath.Clean(m.root))
		}
	}
	return found
}

// canList reports whether what is in a directory can be known.
func (m machine) canList(dir string) bool {
	_, err := os.ReadDir(m.at(dir))
	return err == nil || errors.Is(err, fs.ErrNotExist)
}

// variable is the value of a variable of the environment, "" if it is not set.
func (m machine) variable(name string) string {
	for _, e := range slices.Backward(m.environ) {
		if value, ok := strings.CutPrefix(e, name+"="); ok {
			return value
		}
	}
	return ""
}

// first reads the first of the candidates that is there. path is "" if none is;
// err says why one that is there cannot be read.
func (m machine) first(variable string, candidates ...string) (path, text string, err error) {
	if named := m.variable(variable); named != "" {
		candidates = []string{named}
	}
	for _, path := range candidates {
		text, err := m.read(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return path, text, err
	}
	return "", "", nil
}

// place is something in a file of the server.
type place struct {
	name string
	file string
	line int
}

func (p place) String() string { return fmt.Sprintf("%s:%d", p.file, p.line) }

func named(list []place, name string) (place, bool) {
	i := slices.IndexFunc(list, func(p place) bool { return strings.EqualFold(p.name, name) })
	if i < 0 {
		return place{}, false
	}
	return list[i], true
}

// found is what the configuration of a server on this machine says.
type found struct {
	path  string // of the main file, "" if there is none
	err   error  // why it cannot be read
	hosts []place

	// place says where the snippet for a component goes.
	place func(component string) advice
}

// advice is what becomes of a component with a server that is there.
type advice struct {
	server string   // where it waits for the component, host:port
	where  string   // where the snippet goes, a sentence
	indent int      // of the list that the snippet goes into, if that matters; else -1
	notes  []string // what else there is to know
}

// users are the domains that have users, without the one of every fresh
// installation if there are others.
func (f found) users() (names []string) {
	for _, h := range f.hosts {
		if h.name != "localhost" && !slices.Contains(names, h.name) {
			names = append(names, h.name)
		}
	}
	if len(names) == 0 && len(f.hosts) > 0 {
		names = []string{"localhost"}
	}
	return names
}

// suggestion is a name for the component, "" if none suggests itself.
func (f found) suggestion() string {
	if users := f.users(); len(users) > 0 {
		return "sip." + users[0]
	}
	return ""
}

// checkNames says what is wrong with the component's name, or noteworthy about
// it, in view of the domains that are there.
func (f found) checkNames(title, component string) (notes []string, err error) {
	if h, ok := named(f.hosts, component); ok {
		return nil, fmt.Errorf("--xmpp-domain: %s has users of its own on this %s (%s); the gateway needs a name that is free, such as sip.%s", component, title, h, component)
	}
	users := f.users()
	_, parent, _ := strings.Cut(component, ".")
	if _, ok := named(f.hosts, parent); !ok && len(users) > 0 {
		notes = append(notes, fmt.Sprintf("%s here has users at %s, and not at %s, whose users stox serves unless xmpp.user_domains says otherwise.", title, strings.Join(users, ", "), parent))
	}
	return notes, nil
}

// reason is a file error without the path, for a sentence that has it.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return err.Error()
}
