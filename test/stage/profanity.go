package stage

import (
	"context"
	"fmt"
	"path/filepath"
)

// ProfanityName is the name and version of the XMPP client that Profanity starts.
func ProfanityName() string { return "Profanity " + packageVersion("profanity") }

// The columns and rows of a Profanity.
const profanityWidth, profanityHeight = 100, 20

// Profanity starts an XMPP client for people, of a user of a domain of the server, and
// waits until it is logged in. It sends receipts and asks for them.
func (r *Stage) Profanity(ctx context.Context, s *XMPPServer, domain string, a Account) (*Terminal, error) {
	dir := "profanity-" + a.Local
	home := filepath.Join(r.Dir, dir)
	// A time on each line would make every screen another one.
	if _, err := r.file(dir+"/config/profanity/profrc", `[ui]
splash=false
time.console=off
time.chat=off
time.config=off
time.statusbar=off
time.lastactivity=off
enc.warn=false
tls.show=false
[notifications]
message=false
`, 0o600); err != nil {
		return nil, err
	}
	t, err := r.Terminal(ctx, dir, profanityWidth, profanityHeight,
		[]string{"HOME=" + home, "XDG_CONFIG_HOME=" + home + "/config", "XDG_DATA_HOME=" + home + "/data", "LC_ALL=C.UTF-8", "TERM=screen-256color"}, "profanity")
	if err != nil {
		return nil, err
	}
	for _, step := range []struct{ line, shown string }{
		{"/receipts request on", "receipts"},
		{"/receipts send on", "receipts"},
		{fmt.Sprintf("/connect %s@%s/laptop server 127.0.0.1 port %d tls disable", a.Local, domain, s.C2S), "assword"},
		{a.Password, "logged in"},
	} {
		if err := t.Type(step.line); err != nil {
			return nil, err
		}
		if _, err := t.Await(ctx, step.shown); err != nil {
			return nil, err
		}
	}
	return t, nil
}
