//go:build browser

package browser

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var updatePictures = flag.Bool("update-pictures", false, "draw the pictures of docs/status.md")

// job is a page that is looked at, and what is done there.
type job struct {
	Path    string `json:"path"`
	Width   int    `json:"width,omitempty"`
	Height  int    `json:"height,omitempty"` // of the window; 0: the whole page is drawn
	Dark    bool   `json:"dark,omitempty"`
	Plain   bool   `json:"plain,omitempty"` // without JavaScript
	Quick   bool   `json:"quick,omitempty"` // without axe
	Steps   []step `json:"steps,omitempty"`
	Picture string `json:"picture,omitempty"`
}

type step struct {
	Fill   string `json:"fill,omitempty"`
	Select string `json:"select,omitempty"`
	With   string `json:"with,omitempty"`
	Click  string `json:"click,omitempty"`
	Press  string `json:"press,omitempty"`
	Times  int    `json:"times,omitempty"`
	Type   string `json:"type,omitempty"`
	Await  string `json:"await,omitempty"`
	Tabs   int    `json:"tabs,omitempty"`  // press it so often, and note where the focus is each time
	Until  string `json:"until,omitempty"` // press it until the focus is on one of these
}

// view is what was seen of a job.
type view struct {
	Path     string
	Status   int
	URL      string
	Title    string
	Text     string
	Errors   []string // of the page, also what its policy has kept out
	Strange  []string // requests to others
	Dialogs  int
	Attacked bool
	Wide     int // by so much the page is wider than the window
	Passes   int // rules of axe that were kept
	Axe      []struct {
		ID, Impact, Help string
		Nodes            []string
	}
	Focus []struct {
		Name, Tag   string
		Shows, Seen bool
	}
	Failed string
}

// look has a browser look at pages of s.
func look(t *testing.T, s *site, jobs []job) []view {
	t.Helper()
	in, err := json.Marshal(map[string]any{"base": s.url, "jobs": jobs})
	if err != nil {
		t.Fatal(err)
	}
	node := exec.CommandContext(t.Context(), "node", "drive.mjs", modules(t))
	node.Stdin = bytes.NewReader(in)
	var complaint bytes.Buffer
	node.Stderr = &complaint
	out, err := node.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, &complaint)
	}
	var all []view
	for line := range strings.Lines(string(out)) {
		var v view
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if v.Failed != "" {
			t.Errorf("%s: %s", v.Path, v.Failed)
		}
		all = append(all, v)
	}
	if len(all) != len(jobs) {
		t.Fatalf("%d of %d pages were looked at\n%s", len(all), len(jobs), &complaint)
	}
	return all
}

// sound is what holds of every page: nobody is kept out, nothing is from elsewhere, and
// nothing of what others have chosen has run.
func sound(t *testing.T, j job, v view) {
	t.Helper()
	name := fmt.Sprintf("%s (%d wide, dark %v, plain %v)", v.Path, j.Width, j.Dark, j.Plain)
	for _, a := range v.Axe {
		t.Errorf("%s: %s, %s: %s\n%s", name, a.Impact, a.ID, a.Help, strings.Join(a.Nodes, "\n"))
	}
	if !j.Plain && !j.Quick && v.Passes < 15 {
		t.Errorf("%s: axe has looked at %d rules only", name, v.Passes)
	}
	if v.Status >= 400 { // the browser notes that as an error
		v.Errors = slices.DeleteFunc(v.Errors, func(e string) bool {
			return strings.Contains(e, fmt.Sprintf("the server responded with a status of %d", v.Status))
		})
	}
	if len(v.Errors)+len(v.Strange) > 0 || v.Dialogs > 0 || v.Attacked {
		t.Errorf("%s: errors %q, requests %q, %d dialogs, attacked %v", name, v.Errors, v.Strange, v.Dialogs, v.Attacked)
	}
	if v.Wide > 0 {
		t.Errorf("%s: it is %d pixels wider than the window", name, v.Wide)
	}
}

func picture(name string) string {
	if !*updatePictures {
		return ""
	}
	path, err := filepath.Abs(filepath.Join("../../docs/pictures", name))
	if err != nil {
		panic(err)
	}
	return path
}

// Every page, in light and dark, wide and narrow, and without JavaScript.
func TestPages(t *testing.T) {
	t.Parallel()
	s := startSite(t, "")
	s.tell(10_000)
	retried := s.keys(2)[1]
	paths := []string{"/", "/messages", "/messages?user=nobody&from=x", "/m/none", retried}
	jobs := []job{{Path: "/", Plain: true}, {Path: "/", Dark: true}, {Path: "/", Width: 360}, {Path: retried, Dark: true}, {Path: s.keys(1)[0]}, {Path: "/messages?outcome=failed"}}
	for _, p := range paths {
		jobs = append(jobs, job{Path: p}, job{Path: p, Width: 320, Dark: true})
	}
	for i, v := range look(t, s, jobs) {
		sound(t, jobs[i], v)
		want := map[string]string{"/": "All is well", "/messages": "Messages", "/m/none": "This message is not known"}[v.Path]
		if !strings.Contains(v.Text, want) || v.Status != 200 && v.Path != "/m/none" {
			t.Errorf("%s: %d\n%s", v.Path, v.Status, v.Text)
		}
	}
}

// Somebody with a keyboard gets everywhere, and sees where he is.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	s := startSite(t, "")
	s.tell(60)
	jobs := []job{
		{Path: "/", Steps: []step{{Tabs: 40}}},
		{Path: "/messages", Steps: []step{{Tabs: 80}}},
		{Path: s.keys(1)[0], Steps: []step{{Tabs: 20}}},
		{Path: "/", Steps: []step{{Press: "Tab"}, {Press: "Enter"}, {Press: "Tab"}, {Tabs: 1}}}, // the skip link
		{Path: "/messages", Steps: []step{ // search with the keyboard alone
			{Press: "Tab", Times: 4}, {Type: "juliet"}, {Press: "Tab"}, {Type: "romeo"}, {Press: "Enter"}, {Await: "h2:has-text('Found')"}}},
		{Path: "/messages", Steps: []step{{Until: "td a"}, {Press: "Enter"}, {Await: "h1:has-text('Message')"}}},
	}
	for i, v := range look(t, s, jobs) {
		sound(t, jobs[i], v)
		names := map[string]bool{}
		for _, f := range v.Focus {
			names[f.Name] = true
			if !f.Shows || !f.Seen {
				t.Errorf("%s: the focus cannot be seen at %s %q", v.Path, f.Tag, f.Name)
			}
		}
		for _, want := range [][]string{
			{"Skip to the content", "Overview", "Messages", "The last hour in numbers", "All 60 that are remembered, and search", "Stop updating"},
			{"user", "address", "id", "any", "from", "Search", "Show all", "Older messages", "Stop updating"},
			{"Ladder, may be wider than the screen", "Stanza", "Request"},
			nil, nil, nil,
		}[i] {
			found := names[want]
			for n := range names {
				found = found || strings.HasPrefix(n, want)
			}
			if !found {
				t.Errorf("%s: the keyboard does not get to %q, only to %v", v.Path, want, names)
			}
		}
		switch i {
		case 3:
			if len(v.Focus) != 1 || v.Focus[0].Name == "Overview" || v.Focus[0].Name == "Messages" {
				t.Errorf("behind the skip link: %+v", v.Focus)
			}
		case 4:
			if !strings.HasPrefix(v.URL, "/messages?user=juliet&address=romeo") || strings.Contains(v.Text, "nurse@") || !strings.Contains(v.Text, "juliet@") {
				t.Errorf("searched: %s\n%s", v.URL, v.Text)
			}
		case 5:
			if !strings.HasPrefix(v.URL, "/m/") {
				t.Errorf("opened: %s", v.URL)
			}
		}
	}
}

// Without JavaScript all of it works: links, search, pages, and to load the page again.
func TestWithoutJavaScript(t *testing.T) {
	t.Parallel()
	s := startSite(t, "")
	s.tell(300)
	jobs := []job{
		{Path: "/messages", Plain: true, Steps: []step{{Fill: "#user", With: "juliet"}, {Select: "#outcome", With: "failed"}, {Click: "text=Search"}}},
		{Path: "/messages", Plain: true, Steps: []step{{Click: "text=Older messages"}, {Click: "text=Older messages"}}},
		{Path: "/", Plain: true, Steps: []step{{Click: "noscript a[href='/?refresh=30']"}}},
		{Path: s.keys(1)[0], Plain: true, Steps: []step{{Click: "summary:has-text('Request')"}}},
	}
	v := look(t, s, jobs)
	for i := range v {
		sound(t, jobs[i], v[i])
	}
	if strings.Contains(v[0].Text, "nurse@") || !strings.Contains(v[0].Text, "not delivered") || !strings.Contains(v[0].Text, "404 Not Found") {
		t.Errorf("searched: %s\n%s", v[0].URL, v[0].Text)
	}
	if !strings.Contains(v[1].URL, "after=") || !strings.Contains(v[1].Text, "First page") {
		t.Errorf("older: %s", v[1].URL)
	}
	if v[2].URL != "/?refresh=30" {
		t.Errorf("loaded again: %s", v[2].URL)
	}
	if !strings.Contains(v[3].Text, "Content-Length: 26") {
		t.Errorf("the request:\n%s", v[3].Text)
	}
}

// What strangers choose is shown and never runs, in any field of any page.
func TestHostileText(t *testing.T) {
	t.Parallel()
	s := startSite(t, "")
	s.attack()
	jobs := []job{{Path: "/"}, {Path: "/messages"}, {Path: "/messages?user=%22%3E%3Cscript%3Eattacked%3D1%3C/script%3E&id=%3Cimg%20src%3Dx%20onerror%3Dattacked%3D1%3E"}}
	for _, p := range s.keys(100) { // each has another step
		jobs = append(jobs, job{Path: p, Quick: true})
	}
	jobs[3].Steps = []step{{Click: "summary:has-text('Stanza')"}, {Click: "summary:has-text('Request')"}}
	for i, v := range look(t, s, jobs) {
		sound(t, jobs[i], v)
		if i != 2 && !strings.Contains(v.Text, "<script>attacked=1</script>") {
			t.Errorf("%s does not show it:\n%s", v.Path, v.Text)
		}
		if strings.ContainsAny(v.Text, "\u202e\x1b\x00") {
			t.Errorf("%s has what cannot be printed", v.Path)
		}
	}
}

// News comes by itself, and stops coming when that is wanted.
func TestLive(t *testing.T) {
	t.Parallel()
	s := startSite(t, "")
	s.tell(3)
	jobs := []job{{Path: "/messages", Steps: []step{{Await: "text=This page keeps itself up to date."}, {Await: "#live td:has-text('mercutio-is-new')"}}}}
	stop := make(chan struct{})
	over := make(chan struct{})
	go func() {
		defer close(over)
		s.freshly(stop, "mercutio-is-new@example.com")
	}()
	v := look(t, s, jobs)
	close(stop)
	<-over
	sound(t, jobs[0], v[0])
	if !strings.Contains(v[0].Text, "mercutio-is-new@example.com") {
		t.Errorf("%s", v[0].Text)
	}
}

// A person logs in with the token, stays in, and gets out.
func TestToken(t *testing.T) {
	t.Parallel()
	s := startSite(t, token)
	s.tell(3)
	jobs := []job{
		{Path: "/messages", Plain: true},
		{Path: "/messages", Steps: []step{{Fill: "#token", With: "wrong"}, {Click: "text=Log in"}}},
		{Path: "/messages?outcome=delivered", Steps: []step{{Fill: "#token", With: token}, {Click: "text=Log in"}, {Click: "td a"}, {Await: "h1:has-text('Message')"}}},
		{Path: "/", Steps: []step{{Fill: "#token", With: token}, {Click: "text=Log in"}, {Click: "text=Log out"}}},
	}
	v := look(t, s, jobs)
	for i := range v {
		v[i].Errors = nil // the browser notes the status 401
		sound(t, jobs[i], v[i])
	}
	if v[0].Status != 401 || strings.Contains(v[0].Text, "juliet") {
		t.Errorf("without the token: %d\n%s", v[0].Status, v[0].Text)
	}
	if !strings.Contains(v[1].Text, "That was not the token.") {
		t.Errorf("a wrong token:\n%s", v[1].Text)
	}
	if !strings.HasPrefix(v[2].URL, "/m/") || !strings.Contains(v[2].Text, "What happened") {
		t.Errorf("logged in: %s\n%s", v[2].URL, v[2].Text)
	}
	if !strings.Contains(v[3].Text, "The token is needed") {
		t.Errorf("logged out: %s\n%s", v[3].URL, v[3].Text)
	}
}

// The pictures of docs/status.md, and what is on them.
func TestPictures(t *testing.T) {
	t.Parallel()
	s := startSite(t, "")
	s.tell(400)
	well := []job{
		{Path: "/", Picture: picture("status-overview.png"), Width: 1000, Height: 1500},
		{Path: "/messages?user=juliet", Picture: picture("status-messages.png"), Width: 1000, Height: 800},
		{Path: s.keys(2)[1], Picture: picture("status-message.png"), Width: 1000, Height: 1150},
		{Path: s.keys(2)[1], Picture: picture("status-dark.png"), Width: 1000, Height: 1150, Dark: true},
		{Path: "/", Picture: picture("status-narrow.png"), Width: 400, Height: 900},
	}
	for i, v := range look(t, s, well) {
		sound(t, well[i], v)
	}
	s = startSite(t, "")
	s.tell(40)
	s.show(illSnapshot())
	ill := []job{{Path: "/", Picture: picture("status-wrong.png"), Width: 1000, Height: 900}}
	v := look(t, s, ill)[0]
	sound(t, ill[0], v)
	if !strings.Contains(v.Text, "Something is wrong") || !strings.Contains(v.Title, "Something is wrong") || !strings.Contains(v.Text, "is the server running") {
		t.Errorf("%s\n%s", v.Title, v.Text)
	}
}
