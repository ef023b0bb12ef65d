package config

import (
	"fmt"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Change is what reading the configuration again comes to for a daemon that runs. Keys are
// named by their paths, in the order of the reference; no value is in it but those of Next.
type Change struct {
	// Next is what the daemon goes by from now on: the live keys as they are written now,
	// the others as they were when it started.
	Next *Config
	// Changed are the live keys that have another value now.
	Changed []string
	// Waiting are the other keys that have another value now than the daemon started with:
	// they take effect when it is started again.
	Waiting []string
}

// Reload reads the file again, and the variables of environ, for a daemon that goes by c. It
// finds all that Load finds, and what cannot be until the daemon is started again, because
// it contradicts a key that is not live. The error is an *Error.
func (c *Config) Reload(path string, environ []string, judges ...Judge) (*Change, error) {
	return newLoader(judges).reload(c, path, environ)
}

func (l *loader) reload(running *Config, path string, environ []string) (*Change, error) {
	l.readFile = once(l.readFile) // so that a file that is being written is read as one
	written, err := l.load(path, environ)
	if err != nil {
		return nil, err
	}
	ch := &Change{Next: written, Waiting: differences(running, written, false)}
	if len(ch.Waiting) > 0 {
		l.running = running
		if ch.Next, err = l.load(path, environ); err != nil {
			return nil, contradicted(err, ch.Waiting)
		}
		ch.Next.Warnings = written.Warnings
	}
	ch.Next.keep(running)
	ch.Changed = differences(running, ch.Next, true)
	return ch, nil
}

// contradicted makes of the faults of a configuration that is sound by itself what they are:
// contradictions to what the daemon runs with.
func contradicted(err error, waiting []string) error {
	e, ok := err.(*Error)
	if !ok {
		return err
	}
	for i := range e.Faults {
		e.Faults[i].Text += ", as long as stox runs with what it was started with"
		e.Faults[i].Hint = "start stox again, as " + strings.Join(waiting, ", ") + " can only change then"
	}
	return e
}

// once reads each file once.
func once(read func(string) ([]byte, fs.FileMode, error)) func(string) ([]byte, fs.FileMode, error) {
	type result struct {
		b    []byte
		mode fs.FileMode
		err  error
	}
	known := make(map[string]result)
	return func(path string) ([]byte, fs.FileMode, error) {
		r, ok := known[path]
		if !ok {
			r.b, r.mode, r.err = read(path)
			known[path] = r
		}
		return r.b, r.mode, r.err
	}
}

// hold puts the values of the daemon that runs into the place of those of keys that are not
// live, so that the rest is judged beside them. What was derived is derived again.
func (p *parser) hold(running *Config) {
	for i := range schema {
		k := &schema[i]
		if k.live || !p.built(k) || tableOf(k.path) != nil {
			continue
		}
		p.release(k.path)
		field, value, origin := p.c.at(k.path), running.at(k.path), running.origin[k.path]
		switch {
		case k.kind == kindTables:
			field.Set(value)
			p.holdTables(k, running)
		case k.fileOf() != nil: // it has been read
			field.SetZero()
		case k.secret && value.Len() > 0:
			field.Set(value)
			p.origin[k.path] = fromFile
		case strings.HasPrefix(origin, derived):
			field.SetZero()
		default:
			field.Set(value)
			if k.kind == kindList {
				field.Set(own(value))
			}
			if origin != "" {
				p.origin[k.path] = origin
			}
		}
	}
}

// own is a copy of a slice that running may not see changed.
func own(list reflect.Value) reflect.Value {
	return reflect.AppendSlice(reflect.MakeSlice(list.Type(), 0, list.Len()), list)
}

// holdTables is hold for the fields of tables.
func (p *parser) holdTables(table *key, running *Config) {
	list := p.c.at(table.path)
	list.Set(own(list))
	for i := range schema {
		k := &schema[i]
		if tableOf(k.path) != table || !p.built(k) {
			continue
		}
		for j := range list.Len() {
			at := fmt.Sprintf("%s[%d].%s", table.path, j, k.name())
			field, origin := fieldByKey(list.Index(j), k.name()), running.origin[at]
			switch {
			case k.fileOf() != nil, strings.HasPrefix(origin, derived):
				field.SetZero()
			case k.secret && field.Len() > 0:
				p.origin[at] = fromFile
			case origin != "":
				p.origin[at] = origin
			}
		}
	}
}

// release forgets where the value of a key, or of the tables of that name, came from.
func (p *parser) release(path string) {
	maps.DeleteFunc(p.origin, func(at, _ string) bool { return at == path || strings.HasPrefix(at, path+"[") })
	delete(p.envOf, path)
}

// keep gives c the values of running, and their origins, for what is not live.
func (c *Config) keep(running *Config) {
	for i := range schema {
		k := &schema[i]
		if k.live || !c.built(k) || tableOf(k.path) != nil {
			continue
		}
		c.at(k.path).Set(running.at(k.path))
		of := func(at, _ string) bool { return at == k.path || strings.HasPrefix(at, k.path+"[") }
		maps.DeleteFunc(c.origin, of)
		for at, origin := range running.origin {
			if of(at, origin) {
				c.origin[at] = origin
			}
		}
	}
}

// differences are the keys, live ones or the others, that are not the same in a and b. What
// is derived from another key in both is not one of its own.
func differences(a, b *Config, live bool) (paths []string) {
	for i := range schema {
		k := &schema[i]
		if k.live != live || !a.built(k) || tableOf(k.path) != nil {
			continue
		}
		va, vb := a.at(k.path), b.at(k.path)
		switch {
		case k.kind == kindTables:
			paths = append(paths, tableDifferences(k, a, b)...)
		case same(va, vb), strings.HasPrefix(a.origin[k.path], derived) && strings.HasPrefix(b.origin[k.path], derived):
		default:
			paths = append(paths, b.nameOf(k.path, k))
		}
	}
	return slices.Compact(paths)
}

// tableDifferences names the fields that differ, or the table if there are more or fewer.
func tableDifferences(table *key, a, b *Config) (paths []string) {
	va, vb := a.at(table.path), b.at(table.path)
	if va.Len() != vb.Len() {
		return []string{table.path}
	}
	for i := range va.Len() {
		for j := range schema {
			k := &schema[j]
			if tableOf(k.path) != table || !a.built(k) || same(fieldByKey(va.Index(i), k.name()), fieldByKey(vb.Index(i), k.name())) {
				continue
			}
			at := fmt.Sprintf("%s[%d].%s", table.path, i, k.name())
			if !strings.HasPrefix(a.origin[at], derived) || !strings.HasPrefix(b.origin[at], derived) {
				paths = append(paths, b.nameOf(at, k))
			}
		}
	}
	return paths
}

// nameOf is the key at path, or the one that names its file if the value is from there.
func (c *Config) nameOf(path string, k *key) string {
	if k.secret && c.origin[path+"_file"] != "" {
		return path + "_file"
	}
	return path
}

// same compares two values; a list that is not there is an empty one.
func same(a, b reflect.Value) bool {
	if a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}
