package main

import (
	"testing"
	"time"
)

// Whoever sorts versions, Go or dpkg, finds them in the order of their commits.
func TestVersionOf(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)
	const hash = "0123456789abcdef0123456789abcdef01234567"
	for _, tt := range []struct{ tag, before, want, debian string }{
		{"v1.2.3", "v1.2.3", "v1.2.3", "1.2.3"},
		{"v1.3.0-rc.1", "v1.3.0-rc.1", "v1.3.0-rc.1", "1.3.0~rc.1"},
		{"", "", "v0.0.0-20260301123000-0123456789ab", "0.0.0~20260301123000.0123456789ab"},
		{"", "v1.2.9", "v1.2.10-0.20260301123000-0123456789ab", "1.2.10~0.20260301123000.0123456789ab"},
		{"", "v1.3.0-rc.1", "v1.3.0-rc.1.0.20260301123000-0123456789ab", "1.3.0~rc.1.0.20260301123000.0123456789ab"},
	} {
		got := versionOf(tt.tag, tt.before, at, hash)
		if got != tt.want {
			t.Errorf("versionOf(%q, %q) = %q, want %q", tt.tag, tt.before, got, tt.want)
		}
		if deb := debianVersion(got); deb != tt.debian {
			t.Errorf("debianVersion(%q) = %q, want %q", got, deb, tt.debian)
		}
	}
}
