package config

import (
	"time"
)

// Config is a configuration that Load has found to make sense, with defaults and
// derived values filled in. It is not changed after Load. What belongs to a key
// that this version does not have is zero.
type Config struct {
	ShutdownTimeout time.Duration `mapstructure:"shutdown_timeout"`
	XMPP            XMPP          `mapstructure:"xmpp"`
	SIP             SIP           `mapstructure:"sip"`
	Domains         []Domain      `mapstructure:"domain"`
	Aliases         []Alias       `mapstructure:"alias"`
	Access          Access        `mapstructure:"access"`
	Accounts        Accounts      `mapstructure:"accounts"`
	Limits          Limits        `mapstructure:"limits"`
	Queue           Queue         `mapstructure:"queue"`
	Store           Store         `mapstructure:"store"`
	Admin           Admin         `mapstructure:"admin"`
	Log             Log           `mapstructure:"log"`

	// Warnings are things that work but that the administrator should know.
	Warnings []Fault `mapstructure:"-"`

	// origin says for a path where its value came from, in words for Effective.
	origin map[string]string
	// all is set when every key counts as built, which only tests do.
	all bool
}

// Origin says where the value of a key came from, in words: "file", "default",
// "environment STOX_…" or "derived: …". "" if it is not set, or not from Load.
func (c *Config) Origin(path string) string {
	if k := keyAt(path); k != nil && c.origin != nil && c.built(k) && k.kind != kindTables && tableOf(path) == nil {
		return c.originOf(k)
	}
	return c.origin[path]
}

// XMPP is the component's link to its server.
type XMPP struct {
	Server         string        `mapstructure:"server"` // host:port
	Domain         string        `mapstructure:"domain"`
	Secret         Secret        `mapstructure:"secret"`      // also when it came from a file
	SecretFile     string        `mapstructure:"secret_file"` // where it came from; already read
	UserDomains    []string      `mapstructure:"user_domains"`
	Admins         []string      `mapstructure:"admins"`  // bare JIDs
	Barrier        string        `mapstructure:"barrier"` // auto, single, settled
	BarrierTimeout time.Duration `mapstructure:"barrier_timeout"`
	FailureNotice  bool          `mapstructure:"failure_notice"`
	HTML           string        `mapstructure:"html"` // xhtml-im, plain
}

// SIP is the SIP side. Paths of files are as they are to be opened.
type SIP struct {
	Listen       []string `mapstructure:"listen"`    // transport://IP address:port
	Advertise    string   `mapstructure:"advertise"` // host or host:port; "" when it depends on the peer
	Domain       string   `mapstructure:"domain"`
	PhoneDomain  string   `mapstructure:"phone_domain"`
	UDPGSO       bool     `mapstructure:"udp_gso"`
	AcceptStatus int      `mapstructure:"accept_status"` // 200, 202
	LateErrors   string   `mapstructure:"late_errors"`   // imdn, message, none
	Expired      string   `mapstructure:"expired"`       // deliver, refuse
	IMDN         string   `mapstructure:"imdn"`          // always, if-known, never
	Composing    string   `mapstructure:"composing"`     // always, reply-only, never
	Resolver     string   `mapstructure:"resolver"`      // host:port; "" = the system's
	TLSCert      string   `mapstructure:"tls_cert"`      // path
	TLSKey       string   `mapstructure:"tls_key"`       // path
	TLSCA        string   `mapstructure:"tls_ca"`        // path
	Routes       []Route  `mapstructure:"route"`         // first match wins
	Peers        []Peer   `mapstructure:"peer"`          // first match wins
}

// Route says where requests for a SIP domain go.
type Route struct {
	Domain          string `mapstructure:"domain"` // or "*"
	Via             string `mapstructure:"via"`    // SIP URI of the next hop; "" = by DNS
	Username        string `mapstructure:"username"`
	Password        Secret `mapstructure:"password"`      // also when it came from a file
	PasswordFile    string `mapstructure:"password_file"` // where it came from; already read
	Register        bool   `mapstructure:"register"`
	Size            string `mapstructure:"size"`              // tcp, split, reject
	MaxMessageBytes int    `mapstructure:"max_message_bytes"` // 0 = as the transport allows
	From            string `mapstructure:"from"`              // user, alias, account
	Numbers         string `mapstructure:"numbers"`           // e164, national, nanp10
	Country         string `mapstructure:"country"`           // two capital letters, or ""
	Presence        string `mapstructure:"presence"`          // subscribe, publish, none
}

// Peer is a SIP source that may send to us.
type Peer struct {
	Name         string   `mapstructure:"name"`
	Addresses    []string `mapstructure:"addresses"` // IP addresses and prefixes
	TLSNames     []string `mapstructure:"tls_names"`
	Username     string   `mapstructure:"username"`
	Password     Secret   `mapstructure:"password"`      // also when it came from a file
	PasswordFile string   `mapstructure:"password_file"` // where it came from; already read
	Domains      []string `mapstructure:"domains"`       // nil = those of the routes that lead to it
}

// Domain is a further component name for a further SIP domain.
type Domain struct {
	XMPP       string `mapstructure:"xmpp"`
	SIP        string `mapstructure:"sip"`
	Server     string `mapstructure:"server"`      // host:port
	Secret     Secret `mapstructure:"secret"`      // also when it came from a file
	SecretFile string `mapstructure:"secret_file"` // where it came from; already read
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

// Accounts are the users' own SIP accounts.
type Accounts struct {
	Mode    string `mapstructure:"mode"`     // none, optional, required
	KeyFile string `mapstructure:"key_file"` // path; "" only with none
}

// Has reports whether users may have accounts.
func (a Accounts) Has() bool { return a.Mode == "optional" || a.Mode == "required" }

// Limits bound what others may ask of us; a rate of 0 is no limit.
type Limits struct {
	UserRate       int      `mapstructure:"user_rate"`      // messages a second
	PeerRate       int      `mapstructure:"peer_rate"`      // requests a second
	DailyPerUser   int      `mapstructure:"daily_per_user"` // messages a day to phone numbers
	Prefixes       []string `mapstructure:"prefixes"`       // "+49"; nil = all
	MaxConnections int      `mapstructure:"max_connections"`
	MaxHeaderBytes int      `mapstructure:"max_header_bytes"`
	MaxStanzaBytes int      `mapstructure:"max_stanza_bytes"`
}

// Queue holds messages that wait for their destination.
type Queue struct {
	Expire      time.Duration `mapstructure:"expire"`
	MaxMessages int           `mapstructure:"max_messages"`
}

// Store is what outlives a restart.
type Store struct {
	Path  string        `mapstructure:"path"` // "" keeps nothing, unless there is a URL
	URL   Secret        `mapstructure:"url"`  // may have a password in it; wins over Path
	Trail time.Duration `mapstructure:"trail"`
}

// DefaultStorePath is the default of store.path.
func DefaultStorePath() string { return keyAt("store.path").def.(string) }

// Admin is the administrator's own door.
type Admin struct {
	Listen     string `mapstructure:"listen"`     // host:port; "" = off
	Socket     string `mapstructure:"socket"`     // path; "" = none
	Token      Secret `mapstructure:"token"`      // also when it came from a file
	TokenFile  string `mapstructure:"token_file"` // where it came from; already read
	ShowBodies bool   `mapstructure:"show_bodies"`
}

// Log is what is logged and how.
type Log struct {
	Level  string `mapstructure:"level"`  // debug, info, warn, error
	Format string `mapstructure:"format"` // text, json
	Wire   string `mapstructure:"wire"`   // off, headers, full
	HEP    string `mapstructure:"hep"`    // host:port, or "off"
	OTLP   string `mapstructure:"otlp"`   // URL, or "off"
}
