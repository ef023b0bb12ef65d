// Package version says which stox this is.
package version

import (
	"runtime/debug"
	"strings"
)

// version is set by the build:
//
//	go build -ldflags "-X github.com/stoxgw/stox/internal/version.version=v1.2.3"
var version string

// String is the version of this build: what the linker was told, else the
// version of the module as the Go tool recorded it, else "devel".
func String() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		if v := info.Main.Version; v != "" && v != "(devel)" {
			return v
		}
	}
	return "devel"
}

// Commit is the abbreviated revision this was built from, with "+dirty" if the
// tree had changes, or "" when the Go tool did not record one.
func Commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return commit(info.Settings)
}

func commit(settings []debug.BuildSetting) string {
	var rev, modified string
	for _, s := range settings {
		switch s.Key {
		case "vcs.revision":
			rev = s.Value
		case "vcs.modified":
			modified = s.Value
		}
	}
	if rev == "" {
		return ""
	}
	if len(rev) > 12 {
		rev = rev[:12]
	}
	if strings.EqualFold(modified, "true") {
		rev += "+dirty"
	}
	return rev
}
