package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// This file is the schema for people: docs/config.md and stox.toml(5) are made
// from it, in the tests, which fail when they are stale. What stands between
// backquotes is literal.

// Preface is what the reference says before its keys.
var Preface = []string{
	"**Environment.** Each key outside of `[[tables]]` can be set there, too: `STOX_` and its path in capitals, with `_` for each dot (`STOX_XMPP_SECRET`). The environment wins over the file. Lists are separated by commas. An empty variable counts as set.",
	"**Secrets** can stand in a file of their own: `secret_file` in the file, or `STOX_XMPP_SECRET_FILE` in the environment. The environment, whichever of the two it has, puts both of the file aside.",
	"**Paths** that are relative start at the directory of the configuration file; from the environment at the working directory.",
	"**Strict.** An unknown key, an unknown `STOX_` name, a value of the wrong type, a duration without a unit and a contradiction are errors. So is a key that this version does not have yet; those are listed at the end. stox ends with status 2 then: starting it again with the same configuration cannot help.",
	"**Names** of keys are written in lower case. Paths in messages count tables from 0: `sip.route[0]` is the first `[[sip.route]]`.",
}

// Reloading is what the reference says about changes while the daemon runs.
func Reloading() string {
	if Reloads {
		return "**Reload.** `stox reload` or SIGHUP makes the daemon read the file again. Keys that say so take effect then, the others when stox is started again. If the new file has a fault, all stays as it was."
	}
	return "**Changes** take effect when stox is started again. (Reload on SIGHUP is not in this version.)"
}

// Section is a part of the reference.
type Section struct {
	Heading string // "[xmpp]", "[[sip.route]]", or "" for what stands outside of any
	Doc     string
	Keys    []Key
}

// Key describes a key of the file.
type Key struct {
	Path    string // "sip.route.via"
	Name    string // "via"
	Doc     string
	Type    string
	Default string   // in words, "Required" or "Default: …"; "" if it is just not set
	Example string   // TOML, "" if the default or the type says enough
	Env     string   // its name in the environment, "" if it has none
	NotYet  []string // values that this version does not have
	Live    bool     // takes effect on reload
}

// Reference is the sections with the keys of this version, in order, and the
// keys that are planned.
func Reference() (sections []Section, planned []Key) { return reference(false) }

func reference(all bool) (sections []Section, planned []Key) {
	for i := range schema {
		k := &schema[i]
		table := tableOf(k.path)
		if !all && !k.built {
			if table == nil || table.built {
				planned = append(planned, describe(k, all))
			}
			continue
		}
		heading, doc := k.section(), sectionDoc[k.section()]
		switch {
		case k.kind == kindTables:
			heading, doc = "[["+k.path+"]]", k.doc
		case table != nil:
			heading = "[[" + heading + "]]"
		case heading != "":
			heading = "[" + heading + "]"
		}
		if n := len(sections); n == 0 || sections[n-1].Heading != heading {
			sections = append(sections, Section{Heading: heading, Doc: doc})
		}
		if k.kind != kindTables {
			s := &sections[len(sections)-1]
			s.Keys = append(s.Keys, describe(k, all))
		}
	}
	return sections, planned
}

func describe(k *key, all bool) Key {
	d := Key{Path: k.path, Name: k.name(), Doc: k.doc, Type: k.describeType(all), Default: k.describeDefault(all), Env: k.env(), Live: k.live}
	if k.kind == kindTables {
		d.Path = "[[" + k.path + "]]"
	}
	if k.example != "" && !k.secret {
		d.Example = k.name() + " = " + k.example
	}
	if all {
		return d
	}
	d.NotYet = slices.Clone(k.later)
	if k.path == "sip.listen" || k.path == "sip.route.via" {
		for _, t := range transports {
			if !t.built {
				d.NotYet = append(d.NotYet, t.name)
			}
		}
	}
	return d
}

func (k *key) describeType(all bool) string {
	s := map[kind]string{kindString: "string", kindBool: "true or false", kindInt: "whole number", kindDuration: "duration, such as `\"500ms\"`, `\"15s\"` or `\"1h30m\"`", kindList: "list of strings"}[k.kind]
	if k.file {
		s = "path"
	}
	if len(k.values) > 0 {
		var quoted []string
		values := k.values
		if all {
			values = slices.Concat(values, k.later)
		}
		for _, v := range values {
			if k.kind == kindString {
				v = Quote(v)
			}
			quoted = append(quoted, "`"+v+"`")
		}
		s = strings.Join(quoted, ", ")
	}
	bound := func(n int64) string {
		if k.kind == kindDuration {
			return shortDuration(time.Duration(n))
		}
		return fmt.Sprint(n)
	}
	if k.min != 0 {
		s += ", at least " + bound(k.min)
	}
	if k.max != 0 {
		s += ", at most " + bound(k.max)
	}
	if k.empty != "" {
		s += "; `\"\"` " + k.empty
	}
	return s
}

func (k *key) describeDefault(all bool) string {
	var others []string
	for _, path := range k.oneOf {
		if o := keyAt(path); path != k.path && (all || o.built) {
			others = append(others, "`"+o.name()+"`")
		}
	}
	switch {
	case k.must || len(k.oneOf) > 0 && len(others) == 0:
		return "Required"
	case len(others) > 0:
		return "Required unless there is " + strings.Join(others, " or ")
	case k.def != nil:
		return "Default: `" + formatTOML(reflect.ValueOf(k.def)) + "`"
	case k.defText != "":
		return "Default: " + k.defText
	}
	return ""
}
