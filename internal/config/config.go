package config

import (
	"time"
)

// Config is a configuration that Load has found to make sense, with defaults and
// derived values filled in. It is not changed after Load.
type Config struct {
	ShutdownTimeout time.Duration `mapstructure:"shutdown_timeout"`
	XMPP            XMPP          `mapstructure:"xmpp"`
	SIP             SIP           `mapstructure:"sip"`
	Aliases         []Alias       `mapstructure:"alias"`
	Access          Access        `mapstructure:"access"`
	Limits          Limits        `mapstructure:"limits"`
	Log             Log           `mapstructure:"log"`

	// Warnings are things that work but that the administrator should know.
	Warnings []Fault `mapstructure:"-"`

	// origin says for a path where its value came from, in words for Effective.
	origin map[string]string
}

// XMPP is the component's link to its server.
type XMPP struct {
	Server      string   `mapstructure:"server"` // host:port
	Domain      string   `mapstructure:"domain"`
	Secret      Secret   `mapstructure:"secret"`      // also when it came from a file
	SecretFile  string   `mapstructure:"secret_file"` // where it came from; already read
	UserDomains []string `mapstructure:"user_domains"`

	Barrier        string        `mapstructure:"barrier"` // auto, single, settled
	BarrierTimeout time.Duration `mapstructure:"barrier_timeout"`
}

// SIP is the SIP side.
type SIP struct {
	Listen      []string `mapstructure:"listen"`    // udp:// or tcp://, IP address, port
	Advertise   string   `mapstructure:"advertise"` // host or host:port; "" when it depends on the peer
	Domain      string   `mapstructure:"domain"`
	PhoneDomain string   `mapstructure:"phone_domain"`
	Accept      int      `mapstructure:"accept_status"` // 200, 202
	Routes      []Route  `mapstructure:"route"`         // first match wins
	Peers       []Peer   `mapstructure:"peer"`
}

// Route says where requests for a SIP domain go.
type Route struct {
	Domain  string `mapstructure:"domain"`  // or "*"
	Via     string `mapstructure:"via"`     // SIP URI of the next hop; "" = by DNS
	Country string `mapstructure:"country"` // two capital letters, or ""
	Numbers string `mapstructure:"numbers"` // e164, national, nanp10
	From    string `mapstructure:"from"`    // user, alias
}

// Peer is a SIP source that may send to us.
type Peer struct {
	Name      string   `mapstructure:"name"`
	Addresses []string `mapstructure:"addresses"` // IP addresses and prefixes
	Domains   []string `mapstructure:"domains"`   // nil = those of the routes that lead to it
}

// Alias pairs a SIP identity with an XMPP user.
type Alias struct {
	SIP  string `mapstructure:"sip"`  // SIP URI
	XMPP string `mapstructure:"xmpp"` // bare JID
}

// Access says which XMPP users are served.
type Access struct {
	Allow []string `mapstructure:"allow"` // bare JIDs, domains, "*"
}

// Limits bound what others may ask of us.
type Limits struct {
	MaxConnections int `mapstructure:"max_connections"`
	MaxHeaderBytes int `mapstructure:"max_header_bytes"`
	MaxStanzaBytes int `mapstructure:"max_stanza_bytes"`
}

// Log is what is logged and how.
type Log struct {
	Level  string `mapstructure:"level"`  // debug, info, warn, error
	Format string `mapstructure:"format"` // text, json
}
