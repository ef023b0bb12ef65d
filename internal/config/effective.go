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
		if !k.built || tableOf(k.path) != nil {
			continue
		}
		if s := k.section(); s != section && k.kind != kindTables {
			section = s
			fmt.Fprintf(&b, "\n[%s]\n", s)
		}
		switch {
		case k.kind == kindTables:
			c.effectiveTables(&b, k)
		case k.path == "xmpp.secret_file":
			// Said behind xmpp.secret; both together would contradict each other.
		default:
			writeEffective(&b, k.name(), c.at(k.path), c.originOf(k))
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
			if tableOf(k.path) != table || !k.built {
				continue
			}
			v := fieldByKey(list.Index(i), k.name())
			if v.IsZero() {
				continue
			}
			writeEffective(b, k.name(), v, c.origin[fmt.Sprintf("%s[%d].%s", table.path, i, k.name())])
		}
	}
}

func writeEffective(b *strings.Builder, name string, v reflect.Value, origin string) {
	line := name + " = " + formatTOML(v)
	if v.Kind() == reflect.String && v.Len() == 0 {
		line = "# " + name + " is not set" // an empty string would be refused
		origin = strings.TrimPrefix(origin, derived)
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
	case k.path == "xmpp.secret" && c.XMPP.SecretFile != "":
		return "from the file " + Quote(c.XMPP.SecretFile) + " (xmpp.secret_file, " + c.origin["xmpp.secret_file"] + ")"
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
		return Quote(value.String())
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
