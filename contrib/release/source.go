package main

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// source is the tree that a release is made of.
type source struct {
	version string    // v1.2.3, or as Go names a commit that has no tag
	time    time.Time // of the commit
	dirty   bool      // there is more in it than the commit
}

func readSource() (source, error) {
	var s source
	when, err := git("log", "-1", "--format=%ct")
	if err != nil {
		return s, err
	}
	seconds, err := strconv.ParseInt(when, 10, 64)
	if err != nil {
		return s, fmt.Errorf("git log: %w", err)
	}
	s.time = time.Unix(seconds, 0).UTC()
	hash, err := git("rev-parse", "HEAD")
	if err != nil {
		return s, err
	}
	changes, err := git("status", "--porcelain")
	if err != nil {
		return s, err
	}
	s.dirty = changes != ""
	// Without a tag at all git describe fails, and that is no fault.
	here, _ := git("describe", "--tags", "--exact-match", "--match", "v[0-9]*")
	before, _ := git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*")
	s.version = versionOf(here, before, s.time, hash)
	if s.dirty {
		s.version += "+dirty"
	}
	return s, nil
}

func git(args ...string) (string, error) {
	out, err := exec.Command("git", args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}

var release3 = regexp.MustCompile(`^v(\d+)\.(\d+)\.(\d+)$`)

// versionOf is the tag of a commit, or the name that Go gives to a commit without one
// (a pseudo-version, https://go.dev/ref/mod#pseudo-versions): later ones sort after
// earlier ones, and all before the next release. before is the last tag before it.
func versionOf(tag, before string, t time.Time, hash string) string {
	if tag != "" {
		return tag
	}
	stamp := t.Format("20060102150405") + "-" + hash[:min(12, len(hash))]
	m := release3.FindStringSubmatch(before)
	switch {
	case m != nil:
		patch, _ := strconv.Atoi(m[3]) // digits
		return fmt.Sprintf("v%s.%s.%d-0.%s", m[1], m[2], patch+1, stamp)
	case before != "": // v1.2.3-rc.1
		return before + ".0." + stamp
	}
	return "v0.0.0-" + stamp
}

// debianVersion is a version in Debian's terms: what comes before a release has a tilde,
// and a hyphen stands only before the package's own revision.
func debianVersion(v string) string {
	v = strings.TrimPrefix(v, "v")
	base, pre, has := strings.Cut(v, "-")
	if !has {
		return base
	}
	return base + "~" + strings.ReplaceAll(pre, "-", ".")
}
