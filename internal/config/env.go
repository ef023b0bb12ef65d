package config

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/viper"
)

// readEnviron sets the keys that environ (NAME=value) names and reports the
// STOX_ names that no key answers to. viper's own AutomaticEnv does neither that
// nor types, and it reads the process's environment only.
//
// A list is separated by commas. An empty value counts as set.
func (p *parser) readEnviron(v *viper.Viper, environ []string) {
	vars := map[string]string{}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, envPrefix) {
			vars[name] = value // the last one counts, as in a shell
		}
	}
	for i := range schema {
		k := &schema[i]
		name := k.env()
		text, ok := vars[name]
		if name == "" || !ok {
			continue
		}
		delete(vars, name)
		p.envOf[k.path] = name
		if !p.built(k) {
			p.fault(k.path, notBuilt, "remove it from the environment")
			continue
		}
		if !utf8.ValidString(text) {
			p.fault(k.path, "is not UTF-8", "")
			continue
		}
		value, ok := p.value(k, k.path, envValue(k, text))
		if !ok {
			continue
		}
		p.origin[k.path] = "environment " + name
		v.Set(strings.ReplaceAll(k.path, ".", delimiter), value)
	}
	// A secret or its file in the environment puts both of the file aside.
	for i := range schema {
		k := &schema[i]
		if k.fileOf() == nil || tableOf(k.path) != nil {
			continue
		}
		pair := [2]string{k.fileOf().path, k.path}
		for i := range pair {
			if p.envOf[pair[i]] != "" && p.envOf[pair[1-i]] == "" {
				v.Set(strings.ReplaceAll(pair[1-i], ".", delimiter), "")
				delete(p.origin, pair[1-i])
			}
		}
	}
	p.unknownVariables(vars)
}

// envValue is the value that the text would have in the file, or the text
// itself if it is none: then it has the wrong type and is reported as such.
func envValue(k *key, text string) any {
	switch k.kind {
	case kindBool:
		if text == "true" || text == "false" {
			return text == "true"
		}
	case kindInt:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
	case kindList:
		list := []any{}
		for _, s := range strings.Split(text, ",") {
			if s = strings.TrimSpace(s); s != "" {
				list = append(list, s)
			}
		}
		return list
	}
	return text
}

// unknownVariables reports what is left of the STOX_ names.
func (p *parser) unknownVariables(vars map[string]string) {
	var names []string
	for i := range schema {
		if k := &schema[i]; p.built(k) && k.env() != "" {
			names = append(names, k.env())
		}
	}
	var left []string
	for name := range vars {
		left = append(left, name)
	}
	slices.Sort(left)
	for _, name := range left {
		f := Fault{Path: name, Text: "no such key"}
		if len(p.faults) < maxFaults {
			f.Hint = didYouMean(name, names)
		}
		for i := range schema {
			table := envName(schema[i].path)
			if schema[i].kind == kindTables && (name == table || strings.HasPrefix(name, table+"_")) {
				f.Text, f.Hint = "cannot be set in the environment", "write [["+schema[i].path+"]] in the file"
			}
		}
		if f.Hint == "" && (strings.HasPrefix(name, "STOX_SERVICE_") || strings.HasPrefix(name, "STOX_PORT")) {
			f.Hint = "Kubernetes makes such names for a service called stox: set enableServiceLinks: false"
		}
		p.faults = append(p.faults, f)
	}
}
