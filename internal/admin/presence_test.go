package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// watched is a fake that tells who watches whom.
type watched struct{ *fake }

func relation() Relation {
	return Relation{User: "juliet@example.com", Contact: "romeo@sip.example.com", SIP: "sip:romeo@example.net", Watches: "granted", Watched: "asked", Since: at,
		Dialogs: []Dialog{{Direction: Watches, State: "active", Expires: at, Refresh: at}, {Direction: Watched}}}
}

func (w watched) Relations(_ context.Context, f RelationFilter, n int) (RelationPage, error) {
	w.note("relations", fmt.Sprintf("%q %d", f, n))
	return RelationPage{Total: 9, Relations: []Relation{relation(), {User: "a@b", Contact: "c@d"}}}, nil
}

func (w watched) Relation(_ context.Context, user, contact string) (Relation, error) {
	w.note("relation", user, " ", contact)
	if user == "none@x" {
		return Relation{}, ErrNotFound.With("no subscription")
	}
	return relation(), nil
}

func (w watched) Cancel(_ context.Context, user, contact, direction string) (Relation, error) {
	w.note("cancel", user, " ", contact, " ", direction)
	return relation(), nil
}

// What a Presence says arrives as it was said, and so does what it is asked.
func TestPresence(t *testing.T) {
	path, f := sock(t), &fake{}
	serve(t, path, watched{f})
	c := dial(t, path)
	ctx := t.Context()
	check := func(what string, got, want any, err error) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v, -want +got\n%s", what, err, diff)
		}
	}
	page, err := c.Relations(ctx, RelationFilter{User: "a&b@x", Contact: "sip:c@d;x=%20", AfterUser: "ü@x", AfterContact: "e@f"}, 7)
	check("list", page, RelationPage{Total: 9, Relations: []Relation{relation(), {User: "a@b", Contact: "c@d"}}}, err)
	_, err = c.Relations(ctx, RelationFilter{}, 1_000_000)
	check("a long page", nil, nil, err)
	one, err := c.Relation(ctx, "a@x", "c@d")
	check("show", one, relation(), err)
	one, err = c.Cancel(ctx, "a@x", "c@d", Watched)
	check("cancel", one, relation(), err)
	one, err = c.Cancel(ctx, "a@x", "c@d", "")
	check("cancel both", one, relation(), err)
	if _, err := c.Relation(ctx, "none@x", "c@d"); !errors.Is(err, ErrNotFound) || err.Error() != "no subscription" {
		t.Errorf("none: %v", err)
	}
	want := []string{
		`relations {"a&b@x" "sip:c@d;x=%20" "ü@x" "e@f"} 7`, fmt.Sprintf(`relations {"" "" "" ""} %d`, maxPage),
		"relation a@x c@d", "cancel a@x c@d watched", "cancel a@x c@d ", "relation none@x c@d",
	}
	if !slices.Equal(f.asked, want) {
		t.Errorf("asked %q, want %q", f.asked, want)
	}
	f.asked = nil
	long := strings.Repeat("x", maxAddress+1)
	for what, ask := range map[string]func() error{
		"no user":        func() error { _, err := c.Relation(ctx, "", "c@d"); return err },
		"no contact":     func() error { _, err := c.Cancel(ctx, "a@x", "", ""); return err },
		"no direction":   func() error { _, err := c.Cancel(ctx, "a@x", "c@d", "up"); return err },
		"a long user":    func() error { _, err := c.Relation(ctx, long, "c@d"); return err },
		"a long contact": func() error { _, err := c.Relations(ctx, RelationFilter{Contact: long}, 1); return err },
		"no number":      func() error { _, err := c.Relations(ctx, RelationFilter{}, -1); return err },
	} {
		if err := ask(); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(f.asked) > 0 {
		t.Errorf("asked all the same: %q", f.asked)
	}
}

// A Queue that knows nothing of presence says so.
func TestNoPresence(t *testing.T) {
	path := sock(t)
	serve(t, path, &fake{})
	c := dial(t, path)
	_, err1 := c.Relations(t.Context(), RelationFilter{}, 1)
	_, err2 := c.Relation(t.Context(), "a@x", "c@d")
	_, err3 := c.Cancel(t.Context(), "a@x", "c@d", "")
	for _, err := range []error{err1, err2, err3} {
		if !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), "no presence") {
			t.Errorf("%v", err)
		}
	}
}

// Changes are asked for by POST alone.
func TestCancelIsNoGET(t *testing.T) {
	path, f := sock(t), &fake{}
	serve(t, path, watched{f})
	c := dial(t, path)
	_, err := ask[Relation](t.Context(), c, "GET", "presence/cancel", nil)
	if !errors.Is(err, ErrUnknown) || len(f.asked) > 0 {
		t.Errorf("%v, %q", err, f.asked)
	}
}
