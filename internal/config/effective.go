package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Effective is the configuration as TOML that Load would read back to the same
// values, with secrets masked and a comment behind each value that says where
// it came from: the file, the environment, a default, or another key.
func (c *Config) Effective() string {
	var b strings.Builder
	section := ""
	for i := range schema {
		k := &schema[i]
		if !c.built(k) || tableOf(k.path) != nil {
			continue
		}
		if s := k.section(); s != section && k.kind != kindTables {
			section = s
			fmt.Fprintf(&b, "\n[%s]\n", s)
		}
		switch {
		case k.kind == kindTables:
			c.effectiveTables(&b, k)
		case k.fileOf() != nil:
			// Said behind the secret; both together would contradict each other.
		default:
			writeEffective(&b, k, c.at(k.path), c.originOf(k))
		}
	}
	return strings.TrimPrefix(b.String(), "\n")
}

func (c *Config) effectiveTables(b *strings.Builder, table *key) {
	list := c.at(table.path)
	for i := range list.Len() {
		fmt.Fprintf(b, "\n[[%s]]\n", table.path)
		for j := range schema {
			k := &schema[j]
			if tableOf(k.path) != table || !c.built(k) || k.fileOf() != nil {
				continue
			}
			v := fieldByKey(list.Index(i), k.name())
			if v.IsZero() {
				continue
			}
			at := fmt.Sprintf("%s[%d].%s", table.path, i, k.name())
			origin := c.origin[at]
			if file := c.origin[at+"_file"]; k.secret && file != "" {
				origin = "from the file " + Quote(fieldByKey(list.Index(i), k.name()+"_file").String()) + " (" + at + "_file, " + file + ")"
			}
			writeEffective(b, k, v, origin)
		}
	}
}

func writeEffective(b *strings.Builder, k *key, v reflect.Value, origin string) {
	line := k.name() + " = " + formatTOML(v)
	if v.Kind() == reflect.String && v.Len() == 0 && k.empty == "" || v.Kind() == reflect.Slice && v.Len() == 0 {
		line = "# " + k.name() + " is not set" // what is empty would be refused
		origin = strings.TrimPrefix(strings.TrimPrefix(origin, fromDefault), derived)
	}
	if s, ok := v.Interface().(Secret); ok && s != "" && k.path == "store.url" {
		line = k.name() + " = " + Quote(maskURL(s)) // the rest of it is worth seeing
	}
	if origin != "" {
		line += "  # " + origin
	}
	b.WriteString(line + "\n")
}

// originOf is where the value of k came from, in words.
func (c *Config) originOf(k *key) string {
	origin := c.origin[k.path]
	switch {
	case c.origin == nil:
		return "" // not from Load
	case k.secret && c.origin[k.path+"_file"] != "":
		return "from the file " + Quote(c.at(k.path+"_file").String()) + " (" + k.path + "_file, " + c.origin[k.path+"_file"] + ")"
	case origin == "":
		return fromDefault
	}
	return origin
}

// at is the value of a key that is not inside a [[table]].
func (c *Config) at(path string) reflect.Value {
	v := reflect.ValueOf(c).Elem()
	for _, name := range strings.Split(path, ".") {
		v = fieldByKey(v, name)
	}
	return v
}

// fieldByKey finds the field of a struct that holds a key.
func fieldByKey(v reflect.Value, name string) reflect.Value {
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("mapstructure") == name {
			return v.Field(i)
		}
	}
	// The schema says built, but there is no field: a mistake in this package, which
	// TestSchemaMatchesConfig finds.
	panic("config: no field for " + name)
}

// formatTOML writes a value as TOML; a secret as stars.
func formatTOML(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case Secret:
		return Quote(value.String())
	case time.Duration:
		return Quote(shortDuration(value))
	case []string:
		quoted := make([]string, len(value))
		for i, s := range value {
			quoted[i] = Quote(s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case string:
		return Quote(value)
	}
	return fmt.Sprint(v.Interface())
}
