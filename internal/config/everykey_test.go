package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// whole sets each key of the schema, also those that are not built, to something
// else than its default; what contradicts each other is in wholeOther.
const whole = `
shutdown_timeout = "1m30s"
[xmpp]
server = "[::1]:5348"
domain = "SIP.Example.com."
secret_file = "secret"
user_domains = ["example.com", "bücher.example"]
admins = ["admin@example.com"]
barrier = "settled"
barrier_timeout = "3s"
failure_notice = false
html = "plain"
[sip]
listen = ["udp://192.0.2.1:5060", "tls://[2001:db8::1]:5061", "wss://0.0.0.0:443"]
advertise = "gateway.example.com:5070"
domain = "example.net"
phone_domain = "phone.example.net"
udp_gso = false
accept_status = 202
late_errors = "message"
expired = "refuse"
imdn = "never"
composing = "always"
resolver = "127.0.0.1:53"
tls_cert = "cert.pem"
tls_key = "/etc/stox/key.pem"
tls_ca = "cert.pem"
[[sip.route]]
domain = "pbx.example"
via = "sips:[2001:db8::2]:5061"
username = "stox"
password = "hunter2"
register = true
size = "split"
max_message_bytes = 1000
from = "account"
numbers = "national"
country = "de"
presence = "publish"
[[sip.route]]
domain = "*"
via = "sip:proxy.example.net;transport=tls"
username = "stox"
password_file = "secret"
[[sip.peer]]
name = "pbx"
addresses = ["192.0.2.10", "2001:db8::/32"]
domains = ["*"]
[[sip.peer]]
name = "trunk"
tls_names = ["Trunk.example"]
[[sip.peer]]
name = "phone"
username = "phone"
password = "hunter2"
[[sip.peer]]
name = "other phone"
username = "other"
password_file = "secret"
[[domain]]
xmpp = "PBX.example.com"
sip = "pbx.example"
server = "192.0.2.7:5347"
secret = "another-secret"
[[domain]]
xmpp = "lab.example.com"
sip = "lab.example"
secret_file = "secret"
[[alias]]
sip = "sip:+4930123456@phone.example.net"
xmpp = "juliet@example.com"
[access]
allow = ["example.com", "romeo@bücher.example", "*"]
[accounts]
mode = "optional"
key_file = "secret"
[limits]
user_rate = 0
peer_rate = 10
daily_per_user = 100
prefixes = ["+49"]
max_connections = 10
max_header_bytes = 2048
max_stanza_bytes = 10000
[queue]
expire = "1m"
max_messages = 10
[store]
path = "stox.db"
trail = "24h"
[admin]
listen = "0.0.0.0:9481"
socket = "/run/stox/stox.sock"
token_file = "token"
show_bodies = true
[log]
level = "debug"
format = "json"
wire = "headers"
hep = "192.0.2.8:9060"
otlp = "http://127.0.0.1:4318"
`

// wholeOther sets what contradicts something in whole.
const wholeOther = `
[xmpp]
domain = "sip.example.com"
secret = "hunter2-is-no-secret"
[sip]
domain = "example.net"
[store]
url = "postgres://stox:hunter2@db.example.com/stox?sslmode=verify-full"
[admin]
token = "a-token-of-16-letters"
`

func TestEveryKey(t *testing.T) {
	got := allParse(t, whole)
	want := &Config{
		ShutdownTimeout: 90 * time.Second,
		XMPP: XMPP{
			Server: "[::1]:5348", Domain: "sip.example.com", Secret: "from-a-file-of-its-own", SecretFile: "/etc/stox/secret",
			UserDomains: []string{"example.com", "bücher.example"}, Admins: []string{"admin@example.com"},
			Barrier: "settled", BarrierTimeout: 3 * time.Second, HTML: "plain",
		},
		SIP: SIP{
			Listen:    []string{"udp://192.0.2.1:5060", "tls://[2001:db8::1]:5061", "wss://0.0.0.0:443"},
			Advertise: "gateway.example.com:5070", Domain: "example.net", PhoneDomain: "phone.example.net",
			AcceptStatus: 202, LateErrors: "message", Expired: "refuse", IMDN: "never", Composing: "always", Resolver: "127.0.0.1:53",
			TLSCert: "/etc/stox/cert.pem", TLSKey: "/etc/stox/key.pem", TLSCA: "/etc/stox/cert.pem",
			Routes: []Route{
				{
					Domain: "pbx.example", Via: "sips:[2001:db8::2]:5061", Username: "stox", Password: "hunter2", Register: true, Size: "split",
					MaxMessageBytes: 1000, From: "account", Numbers: "national", Country: "DE", Presence: "publish",
				},
				{
					Domain: "*", Via: "sip:proxy.example.net;transport=tls", Username: "stox", Password: "from-a-file-of-its-own", PasswordFile: "/etc/stox/secret",
					Size: "tcp", From: "user", Numbers: "e164", Presence: "subscribe",
				},
			},
			Peers: []Peer{
				{Name: "pbx", Addresses: []string{"192.0.2.10", "2001:db8::/32"}, Domains: []string{"*"}},
				{Name: "trunk", TLSNames: []string{"trunk.example"}},
				{Name: "phone", Username: "phone", Password: "hunter2"},
				{Name: "other phone", Username: "other", Password: "from-a-file-of-its-own", PasswordFile: "/etc/stox/secret"},
			},
		},
		Domains: []Domain{
			{XMPP: "pbx.example.com", SIP: "pbx.example", Server: "192.0.2.7:5347", Secret: "another-secret"},
			{XMPP: "lab.example.com", SIP: "lab.example", Server: "[::1]:5348", Secret: "from-a-file-of-its-own", SecretFile: "/etc/stox/secret"},
		},
		Aliases:  []Alias{{SIP: "sip:+4930123456@phone.example.net", XMPP: "juliet@example.com"}},
		Access:   Access{Allow: []string{"example.com", "romeo@bücher.example", "*"}},
		Accounts: Accounts{Mode: "optional", KeyFile: "/etc/stox/secret"},
		Limits:   Limits{PeerRate: 10, DailyPerUser: 100, Prefixes: []string{"+49"}, MaxConnections: 10, MaxHeaderBytes: 2048, MaxStanzaBytes: 10000},
		Queue:    Queue{Expire: time.Minute, MaxMessages: 10},
		Store:    Store{Path: "/etc/stox/stox.db", Trail: 24 * time.Hour},
		Admin:    Admin{Listen: "0.0.0.0:9481", Socket: "/run/stox/stox.sock", Token: "a-token-of-its-own", TokenFile: "/etc/stox/token", ShowBodies: true},
		Log:      Log{Level: "debug", Format: "json", Wire: "headers", HEP: "192.0.2.8:9060", OTLP: "http://127.0.0.1:4318"},
		origin:   got.origin, all: true, Warnings: got.Warnings,
	}
	if diff := cmp.Diff(fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", got)); diff != "" || !reflect.DeepEqual(got, want) {
		t.Errorf("-want +got\n%s", diff)
	}
	// Whatever is in the schema is in one of the two texts.
	other := allParse(t, wholeOther)
	if other.Store.URL.Reveal() != "postgres://stox:hunter2@db.example.com/stox?sslmode=verify-full" || other.Admin.Token.Reveal() != "a-token-of-16-letters" {
		t.Errorf("the second text: %+v", other)
	}
	for i := range schema {
		k := &schema[i]
		set := got.origin[k.path] + other.origin[k.path]
		if table := tableOf(k.path); table != nil {
			for j := range got.at(table.path).Len() {
				set += got.origin[fmt.Sprintf("%s[%d].%s", table.path, j, k.name())]
			}
		}
		if !strings.Contains(set, fromFile) {
			t.Errorf("%s is in neither text", k.path)
		}
	}
}
