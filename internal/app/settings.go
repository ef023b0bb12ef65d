package app

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/stoxgw/stox/component"
	"github.com/stoxgw/stox/internal/accounts"
	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/store"
	"github.com/stoxgw/stox/internal/version"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside"
	"github.com/stoxgw/stox/sipside/locate"
)

// This file turns the configuration into each package's own. Syntax has been
// checked by config; what only mapping can judge (does this address mean
// something?) is checked here and reported with the path of the key.

// BuildPolicy makes what the bridge goes by: the address rules, the access list,
// and how long and how loudly it tries.
func BuildPolicy(cfg *config.Config) (bridge.Policy, error) { return buildPolicy(cfg, nil) }

func buildPolicy(cfg *config.Config, of mapping.Accounts) (bridge.Policy, error) {
	rules, err := buildRules(cfg, of)
	access, accessErr := mapping.NewAccess(cfg.Access.Allow)
	if accessErr != nil {
		err = errors.Join(err, fmt.Errorf("access.allow: %w", accessErr))
	}
	return bridge.Policy{
		Rules: rules, Access: access,
		Expire: cfg.Queue.Expire, Notice: cfg.XMPP.FailureNotice, Late: bridge.LateErrors(cfg.SIP.LateErrors), IMDN: bridge.IMDN(cfg.SIP.IMDN),
		Prefixes: cfg.Limits.Prefixes, DailyPerUser: cfg.Limits.DailyPerUser,
		Composing: bridge.Composing(cfg.SIP.Composing), UserRate: cfg.Limits.UserRate, Texts: cfg.Admin.ShowBodies,
	}, faults(err)
}

// BuildRules makes the address rules, without users' accounts, which only the daemon knows.
func BuildRules(cfg *config.Config) (*mapping.Rules, error) { return buildRules(cfg, nil) }

func buildRules(cfg *config.Config, of mapping.Accounts) (*mapping.Rules, error) {
	c := mapping.RulesConfig{
		GatewayDomain:    cfg.XMPP.Domain,
		SIPHost:          sipHost(cfg),
		UserDomains:      cfg.XMPP.UserDomains,
		DefaultSIPDomain: cfg.SIP.Domain,
		PhoneDomain:      cfg.SIP.PhoneDomain,
		PlainOnly:        cfg.XMPP.HTML == "plain",
		RefuseExpired:    cfg.SIP.Expired == "refuse",
		Accounts:         of,
		AccountsRequired: of != nil && cfg.Accounts.Mode == string(accounts.ModeRequired),
	}
	for _, d := range cfg.Domains {
		c.Domains = append(c.Domains, mapping.DomainPair{XMPP: d.XMPP, SIP: d.SIP})
	}
	for _, r := range cfg.SIP.Routes {
		rule := mapping.RouteRule{Domain: r.Domain, Country: r.Country, Numbers: r.Numbers, From: r.From}
		if r.Register {
			rule.Account = r.Username
		}
		if via, err := NextHop(r.Via); err == nil && r.Via != "" {
			rule.Hop = via.Host
		}
		c.Routes = append(c.Routes, rule)
	}
	var errs []error
	for i, a := range cfg.Aliases {
		uri, err := mapping.ParseURI(a.SIP)
		if err != nil {
			errs = append(errs, fmt.Errorf("alias[%d].sip: %w", i, plain(err)))
		}
		jid, err := mapping.ParseJID(a.XMPP)
		if err != nil {
			errs = append(errs, fmt.Errorf("alias[%d].xmpp: %w", i, plain(err)))
		}
		c.Aliases = append(c.Aliases, mapping.Alias{SIP: uri, XMPP: jid})
	}
	if len(errs) > 0 {
		return nil, faults(errors.Join(errs...))
	}
	rules, err := mapping.NewRules(c)
	return rules, faults(err)
}

// sipHost is where SIP reaches us by name, with the port if it has one: what is
// advertised, else the component's own name.
func sipHost(cfg *config.Config) string {
	if cfg.SIP.Advertise == "" {
		return cfg.XMPP.Domain
	}
	return cfg.SIP.Advertise
}

// bridgeOptions are those of the bridge that are not its policy's.
func bridgeOptions(cfg *config.Config, p bridge.Policy, book bridge.ContactBook) bridge.Options {
	return bridge.Options{
		Policy:   p,
		Secret:   []byte(cfg.XMPP.Secret.Reveal()),
		Limits:   bridgeLimits(cfg),
		Volatile: cfg.Store.Path == "",
		Contacts: book,
		Full:     func(err error) bool { return errors.Is(err, store.ErrFull) },
		// For measurements only, so no key of the configuration: see docs/reliability.md.
		NoEarly: os.Getenv("STOXDEBUG") == "early=off",
	}
}

// bridgeLimits are what the configuration says of them.
func bridgeLimits(cfg *config.Config) bridge.Limits {
	return bridge.Limits{Stored: cfg.Queue.MaxMessages, Alone: oneDomain(cfg)}
}

// oneDomain reports whether all who may send are users of one XMPP domain.
func oneDomain(cfg *config.Config) bool {
	return len(cfg.XMPP.UserDomains) == 1 && !slices.ContainsFunc(cfg.Access.Allow, func(who string) bool {
		_, domain, user := strings.Cut(who, "@")
		if !user {
			domain = who
		}
		return !strings.EqualFold(domain, cfg.XMPP.UserDomains[0])
	})
}

// componentConfig is for one of the component's names.
func componentConfig(cfg *config.Config, server, domain string, secret config.Secret, policy bridge.Policy) component.Config {
	return component.Config{
		Server:         server,
		Domain:         domain,
		Secret:         secret.Reveal(),
		Gateway:        cfg.XMPP.Domain,
		Version:        version.String(),
		Allow:          policy.Access.Allows,
		MaxStanzaBytes: cfg.Limits.MaxStanzaBytes,
		Barrier:        component.BarrierMode(cfg.XMPP.Barrier),
		BarrierTimeout: cfg.XMPP.BarrierTimeout,

		Contact:         policy.Rules.SIPAddress,
		ContactFeatures: contactFeatures(cfg),
		Prompt:          policy.Rules.Prompt,
	}
}

// contactFeatures is what contacts can do with messages, as far as it is mapped (GW-27).
func contactFeatures(cfg *config.Config) (features []string) {
	if cfg.SIP.IMDN != "never" {
		features = append(features, component.FeatureReceipts, component.FeatureMarkers)
	}
	if cfg.SIP.Composing != "never" {
		features = append(features, component.FeatureChatStates)
	}
	return features
}

func sipsideConfig(cfg *config.Config) (sipside.Config, error) {
	c := sipside.Config{
		Listen:         cfg.SIP.Listen,
		Advertise:      cfg.SIP.Advertise,
		SIPDomain:      cfg.SIP.Domain,
		PhoneDomain:    cfg.SIP.PhoneDomain,
		XMPPDomains:    cfg.XMPP.UserDomains,
		UserAgent:      "stox",
		Instance:       instance(cfg),
		Accept:         cfg.SIP.AcceptStatus,
		NoGSO:          !cfg.SIP.UDPGSO,
		MaxConnections: cfg.Limits.MaxConnections,
		MaxHeaderBytes: cfg.Limits.MaxHeaderBytes,
		PeerRate:       cfg.Limits.PeerRate,
	}
	for _, d := range cfg.Domains {
		c.OwnDomains = append(c.OwnDomains, d.SIP)
	}
	var errs []error
	var err error
	if c.TLS, err = loadTLS(cfg); err != nil {
		errs = append(errs, faultsOf(err)...)
	}
	var dns locate.Config
	if cfg.SIP.Resolver != "" {
		server, err := netip.ParseAddrPort(cfg.SIP.Resolver)
		if err != nil {
			errs = append(errs, fmt.Errorf("sip.resolver: %w", err))
		}
		dns.Servers = []netip.AddrPort{server}
	}
	c.Locator = locate.New(dns)
	for i, r := range cfg.SIP.Routes {
		if r.Via == "" { // DNS says where the domain is
			c.Routes = append(c.Routes, sipside.Route{Domain: r.Domain, Size: r.Size, MaxBytes: r.MaxMessageBytes, Login: login(r.Username, r.Password)})
			continue
		}
		via, err := NextHop(r.Via)
		if err != nil {
			errs = append(errs, fmt.Errorf("sip.route[%d].via: %w", i, plain(err)))
			continue
		}
		c.Routes = append(c.Routes, sipside.Route{Domain: r.Domain, Via: via, Loose: isLoose(r.Via), Size: r.Size, MaxBytes: r.MaxMessageBytes,
			Login: login(r.Username, r.Password), Register: r.Register})
	}
	for i, p := range cfg.SIP.Peers {
		peer := sipside.Peer{Name: p.Name, Domains: p.Domains, TLSNames: p.TLSNames, Login: login(p.Username, p.Password)}
		for j, a := range p.Addresses {
			prefix, err := parsePrefix(a)
			if err != nil {
				errs = append(errs, fmt.Errorf("sip.peer[%d].addresses[%d]: %w", i, j, err))
				continue
			}
			peer.Addresses = append(peer.Addresses, prefix)
		}
		c.Peers = append(c.Peers, peer)
	}
	return c, faults(errors.Join(errs...))
}

func login(username string, password config.Secret) sipside.Login {
	return sipside.Login{Username: username, Password: password.Reveal()}
}

// isLoose reports whether a route's URI has the lr parameter, which a URI value
// does not keep because it says nothing about the address.
func isLoose(via string) bool {
	for _, p := range strings.Split(via, ";")[1:] {
		name, _, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(name), "lr") {
			return true
		}
	}
	return false
}

// parsePrefix takes an address or a prefix in CIDR form.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}

// faults makes a *config.Error of joined errors that begin with the path of a
// key, so that they are shown, and end the process, like every other fault of
// the configuration. It returns nil for nil.
func faults(err error) error {
	if err == nil {
		return nil
	}
	var known *config.Error
	if errors.As(err, &known) {
		return err
	}
	e := &config.Error{}
	for _, err := range faultsOf(err) {
		path, text, ok := strings.Cut(err.Error(), ": ")
		if !ok {
			path, text = "configuration", err.Error()
		}
		e.Faults = append(e.Faults, config.Fault{Path: path, Text: text})
	}
	return e
}

// faultsOf takes joined errors apart.
func faultsOf(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// plain is what an error of mapping says to a person: without the SIP status and
// the stanza error that it would be on the wire.
func plain(err error) error {
	var f *mapping.Failure
	if errors.As(err, &f) && f.Text != "" {
		return errors.New(f.Text)
	}
	return err
}
