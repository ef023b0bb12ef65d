// Package config is the schema of the configuration file: what keys there are,
// what they mean, and whether a file makes sense.
//
// It is the only package that knows viper, and viper is kept on a short lead:
// TOML only, a key delimiter that occurs in no key, no weak typing, no unused
// keys, durations as strings only. What viper does not see - unknown keys with
// their path, keys that differ in case, names in the environment that no key
// answers to, contradictions - is found here. Load reports every fault at once.
//
// The table in keys.go is the one source of truth: every key there is or is going
// to be. The defaults, the names in the environment, the effective configuration,
// docs/config.md, docs/man/stox.toml.5 and contrib/stox.toml are all made from it.
// What a later version builds is checked and tested already; it takes part when
// its key says built.
//
// The package knows none of the others: it judges the shape of addresses, not
// their meaning. Whoever knows more is handed over as a Judge.
package config

//go:generate go test . -run TestGenerated|TestEffective -update
