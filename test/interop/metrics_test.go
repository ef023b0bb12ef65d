//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/test/stage"
)

const (
	rulesFile     = "../../contrib/prometheus/stox.rules.yml"
	rulesTest     = "../../contrib/prometheus/stox.rules.test.yml"
	dashboardFile = "../../contrib/grafana/stox.json"
	adminToken    = "token-of-the-admin"
)

// The rules are sound, and each alert rises when it should and at no other time.
func TestAlertRules(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"check", "rules", rulesFile}, {"test", "rules", rulesTest}} {
		if out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// prometheus is one that watches the daemon of a world.
type prometheus struct {
	*world
	base string
}

// prometheus starts one with the alert rules, which then wait for nothing.
func (w *world) prometheus(listen string, flags ...string) *prometheus {
	w.t.Helper()
	port, err := stage.Port()
	w.must(err)
	dir, err := os.MkdirTemp(w.Dir, "prometheus")
	w.must(err)
	rules, err := os.ReadFile(rulesFile)
	w.must(err)
	rules = regexp.MustCompile(`(?m)^ +for: .*\n`).ReplaceAll(rules, nil)
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		w.must(os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	config := write("prometheus.yml", fmt.Sprintf(`global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}
rule_files: [%q]
scrape_configs:
  - job_name: stox
    authorization: {credentials_file: %q}
    static_configs: [{targets: [%q]}]
`, write("rules.yml", string(rules)), write("token", adminToken), listen))
	p := &prometheus{world: w, base: fmt.Sprintf("http://127.0.0.1:%d", port)}
	_, err = w.Start(exec.Command("prometheus", append([]string{"--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(dir, "data"),
		fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port)}, flags...)...), "prometheus")
	w.must(err)
	return p
}

// ask gives what the API has for a path, in data; false while it is not there.
func (p *prometheus) ask(path string, query url.Values, data any) bool {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.ctx, http.MethodGet, p.base+"/api/v1/"+path+"?"+query.Encode(), nil)
	p.must(err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.must(p.ctx.Err())
		return false // it is starting
	}
	defer resp.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Status != "success" {
		if resp.StatusCode != http.StatusServiceUnavailable {
			p.t.Fatalf("%s %v: %s %v %s", path, query, resp.Status, err, answer.Error)
		}
		return false
	}
	return true
}

// until asks again and again.
func (p *prometheus) until(what string, is func() bool) {
	p.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-p.ctx.Done():
			p.t.Fatalf("never: %s", what)
		}
	}
}

// value is that of an expression with one result.
func (p *prometheus) value(expr string) (v string, ok bool) {
	var data struct {
		Result []struct{ Value [2]any }
	}
	if !p.ask("query", url.Values{"query": {expr}}, &data) || len(data.Result) != 1 {
		return "", false
	}
	return fmt.Sprint(data.Result[0].Value[1]), true
}

func (p *prometheus) fires(alert string) bool {
	var data struct {
		Alerts []struct {
			State  string
			Labels map[string]string
		}
	}
	return p.ask("alerts", nil, &data) && slices.ContainsFunc(data.Alerts, func(a struct {
		State  string
		Labels map[string]string
	}) bool {
		return a.Labels["alertname"] == alert && a.State == "firing"
	})
}

// A real Prometheus reads the metrics, those with native histograms too; the rules find
// what they ask for, and the dashboard; and a link that goes down raises its alert until it
// is back. No name of a user is in any label.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	w := newPrivateWorld(t, "prosody")
	port, err := stage.Port()
	w.must(err)
	listen := fmt.Sprintf("127.0.0.1:%d", port)
	w.stox.Env = append(w.stox.Env, "STOX_ADMIN_LISTEN="+listen, "STOX_ADMIN_TOKEN="+adminToken)
	peer := siptest.Listen(t, "udp")
	peer.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
	route := via("*", int(peer.Addr().Port()), "udp")
	route.Domain, route.Register = "registrar.test", true
	route.Login = stage.Account{Local: "stox", Password: "gateway-secret"}
	w.must(w.server.Boot(w.ctx))
	w.run(route, via("*", int(peer.Addr().Port()), "udp"))
	p := w.prometheus(listen)

	c := w.login(juliet)
	w.must(c.Message("m1", "mercutio@"+w.component, "hello"))
	peer.Await(1)
	p.until("the message is counted", func() bool {
		v, ok := p.value(`stox_messages_total{direction="xmpp-sip",outcome="delivered"}`)
		return ok && v == "1"
	})
	p.until("the link is up", func() bool { v, ok := p.value("stox_xmpp_link_up"); return ok && v == "1" })

	w.lints(listen)

	_, err = w.server.Stop(w.ctx)
	w.must(err)
	p.until("StoxLinkDown", func() bool { return p.fires("StoxLinkDown") })
	p.until("stox_xmpp_link_failures_total", func() bool { return p.has("stox_xmpp_link_failures_total") })
	for _, name := range askedFor(t) {
		p.until("a series of "+name, func() bool { return p.has(name) })
	}
	var rules struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if !p.ask("rules", nil, &rules) || len(rules.Groups) != 1 || len(rules.Groups[0].Rules) < 10 {
		t.Fatalf("rules: %+v", rules)
	}
	for _, r := range rules.Groups[0].Rules {
		if r.Health != "ok" {
			t.Errorf("%s: %s %s", r.Name, r.Health, r.LastError)
		}
	}
	w.must(w.server.Boot(w.ctx))
	p.until("the end of StoxLinkDown", func() bool { return !p.fires("StoxLinkDown") })

	native := w.prometheus(listen, "--enable-feature=native-histograms")
	native.until("a native histogram", func() bool {
		v, ok := native.value("histogram_count(stox_xmpp_barrier_round_trip_seconds)")
		return ok && v != "0"
	})
	var labels []string
	for _, name := range []string{"domain", "component", "reason", "route", "direction"} {
		var values []string
		p.until("label "+name, func() bool { return p.ask("label/"+name+"/values", nil, &values) })
		labels = append(labels, values...)
	}
	for _, v := range labels {
		if strings.Contains(v, "mercutio") || strings.Contains(v, "juliet") || strings.Contains(v, "@") {
			t.Errorf("a label has %q", v)
		}
	}
}

func (p *prometheus) has(name string) bool {
	var series []any
	return p.ask("series", url.Values{"match[]": {name}}, &series) && len(series) > 0
}

// askedFor are the metrics that the rules and the dashboard name.
func askedFor(t *testing.T) (names []string) {
	t.Helper()
	for _, file := range []string{rulesFile, dashboardFile} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, regexp.MustCompile(`\bstox_[a-z_]+`).FindAllString(string(b), -1)...)
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) < 30 {
		t.Fatalf("only %d found", len(names))
	}
	return names
}

// lints has promtool look at the page.
func (w *world) lints(listen string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.ctx, http.MethodGet, "http://"+listen+"/metrics", nil)
	w.must(err)
	req.Header.Set("Authorization", "Bearer "+adminToken)
	resp, err := http.DefaultClient.Do(req)
	w.must(err)
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	w.must(err)
	cmd := exec.CommandContext(w.ctx, "promtool", "check", "metrics")
	cmd.Stdin = strings.NewReader(string(page))
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}
