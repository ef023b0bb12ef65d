// Package contrib holds the files that an administrator puts elsewhere. What
// stox init prints and what lies here for reading is the same text.
package contrib

import (
	_ "embed"
	"fmt"
	"strings"
)

// Prosody is the component's entry in the configuration of Prosody.
//
//go:embed prosody.cfg.lua
var Prosody string

// Ejabberd is the component's entry in the configuration of ejabberd.
//
//go:embed ejabberd.yml
var Ejabberd string

// The values that stand in both texts for the real ones.
const (
	exampleDomain = `"sip.example.com"`
	exampleSecret = `"change-me"`
)

// Snippet is one of the texts above for this component. Neither value may need
// escaping inside double quotes in Lua or YAML.
func Snippet(text, domain, secret string) (string, error) {
	for _, v := range []string{domain, secret} {
		if strings.ContainsAny(v, "\"\\\n\r") {
			return "", fmt.Errorf("the domain or the secret cannot be written into the server's configuration")
		}
	}
	return strings.NewReplacer(exampleDomain, `"`+domain+`"`, exampleSecret, `"`+secret+`"`).Replace(text), nil
}
