package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// traced is a fake that shows packets.
type traced struct{ *fake }

func wireNowForTest() Wire {
	return Wire{All: "headers", HEP: "192.0.2.1:9060", HEPTexts: true, Targets: []string{"juliet@example.com", "*"}, Mode: "full", Until: at, Quiet: "warn", Logged: 1, Copied: 2, Dropped: 3}
}

func (f traced) WireOn(_ context.Context, w Watch) (Wire, error) {
	f.note("on", fmt.Sprintf("%q %t %v", w.Targets, w.Full, w.For))
	if slices.Contains(w.Targets, "@") {
		return Wire{}, ErrRequest.With(`"@" is no address`)
	}
	return wireNowForTest(), nil
}

func (f traced) WireOff(context.Context) (Wire, error) { f.note("off"); return Wire{All: "off"}, nil }

func (f traced) Wire(context.Context) (Wire, error) { f.note("wire"); return wireNowForTest(), nil }

// What a Tracer says arrives as it was said, and so does what it is asked.
func TestWire(t *testing.T) {
	path, f := sock(t), &fake{}
	serve(t, path, traced{f})
	c := dial(t, path)
	ctx := t.Context()
	check := func(what string, got, want Wire, err error) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v, -want +got\n%s", what, err, diff)
		}
	}
	got, err := c.WireOn(ctx, Watch{Targets: []string{"a&b=c@x", "*", "sip:ü@y;z"}, Full: true, For: 90*time.Second + 500*time.Millisecond})
	check("on", got, wireNowForTest(), err)
	got, err = c.WireOn(ctx, Watch{Targets: []string{"a@x"}})
	check("on", got, wireNowForTest(), err)
	got, err = c.WireOff(ctx)
	check("off", got, Wire{All: "off"}, err)
	got, err = c.Wire(ctx)
	check("wire", got, wireNowForTest(), err)
	if _, err := c.WireOn(ctx, Watch{Targets: []string{"@"}}); !errors.Is(err, ErrRequest) || err.Error() != `"@" is no address` {
		t.Errorf("@: %v", err)
	}
	want := []string{`on ["a&b=c@x" "*" "sip:ü@y;z"] true 1m30.5s`, `on ["a@x"] false 0s`, "off ", "wire ", `on ["@"] false 0s`}
	if !slices.Equal(f.asked, want) {
		t.Errorf("asked %q, want %q", f.asked, want)
	}
	f.asked = nil
	for _, q := range []url.Values{
		{"of": {"a@x", strings.Repeat("x", maxAddress+1)}}, {"of": {""}},
		{"of": {"a@x"}, "seconds": {"-1"}}, {"of": {"a@x"}, "seconds": {"NaN"}}, {"of": {"a@x"}, "seconds": {"1e300"}}, {"of": {"a@x"}, "seconds": {""}},
	} {
		if _, err := ask[Wire](ctx, c, http.MethodPost, "wire/on", q); !errors.Is(err, ErrRequest) {
			t.Errorf("%.100q: %v", q, err)
		}
	}
	if _, err := ask[Wire](ctx, c, http.MethodGet, "wire/on", url.Values{"of": {"a@x"}}); !errors.Is(err, ErrUnknown) {
		t.Errorf("GET: %v", err)
	}
	if len(f.asked) > 0 {
		t.Errorf("asked all the same: %q", f.asked)
	}
}

// TestNoTracer: a Queue that shows no packets says so.
func TestNoTracer(t *testing.T) {
	path := sock(t)
	serve(t, path, &fake{})
	if _, err := dial(t, path).Wire(t.Context()); !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
}
