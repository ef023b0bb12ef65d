// Package browser looks at the status page in a real browser: Chromium, driven by
// playwright-core, with the rules of axe-core. Both come from npm in the versions of
// package-lock.json, into the user's cache; Chromium and node are Debian's,
// of Debian 12 (node 18) or later: so playwright-core stays a version that takes node 18.
//
// The tests have the build tag browser. With -update-pictures they draw those of
// docs/status.md.
package browser
