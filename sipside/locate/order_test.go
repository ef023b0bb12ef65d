package locate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func srvs(texts ...string) (list []srvRecord) {
	for _, s := range texts {
		var r srvRecord
		fmt.Sscan(s, &r.priority, &r.weight, &r.target)
		list = append(list, r)
	}
	return list
}

func targetsOf(list []srvRecord) string {
	var out []string
	for _, s := range list {
		out = append(out, s.target)
	}
	return strings.Join(out, " ")
}

// The draw of RFC 2782: a running sum, and the first record that reaches the number.
func TestWeights(t *testing.T) {
	for _, c := range []struct {
		list  []string // priority, weight, name; sorted by priority
		draws []int
		sums  []int // what the draws were from, 0 included
		want  string
	}{
		{list: []string{"0 5 a"}, want: "a"},
		{list: []string{"0 1 a", "0 3 b"}, draws: []int{1}, sums: []int{5}, want: "a b"},
		{list: []string{"0 1 a", "0 3 b"}, draws: []int{2}, sums: []int{5}, want: "b a"},
		{list: []string{"0 1 a", "0 3 b"}, draws: []int{4}, sums: []int{5}, want: "b a"},
		{list: []string{"0 2 a", "0 0 z"}, draws: []int{0}, sums: []int{3}, want: "z a"},
		{list: []string{"0 2 a", "0 0 z"}, draws: []int{1}, sums: []int{3}, want: "a z"},
		{list: []string{"0 0 a", "0 0 b"}, draws: []int{0}, sums: []int{1}, want: "a b"},
		{list: []string{"0 1 a", "0 1 b", "0 1 c"}, draws: []int{3, 1}, sums: []int{4, 3}, want: "c a b"},
		{list: []string{"0 1 a", "0 1 b", "0 1 c"}, draws: []int{2, 2}, sums: []int{4, 3}, want: "b c a"},
		{list: []string{"1 9 a", "2 1 b", "2 1 c", "3 0 d"}, draws: []int{2}, sums: []int{3}, want: "a c b d"},
		{list: []string{"0 65535 a", "0 65535 b"}, draws: []int{131070}, sums: []int{131071}, want: "b a"},
	} {
		var sums []int
		list := srvs(c.list...)
		byWeight(list, func(n int) int {
			sums = append(sums, n)
			return c.draws[len(sums)-1]
		})
		if got := targetsOf(list); got != c.want || fmt.Sprint(sums) != fmt.Sprint(c.sums) {
			t.Errorf("%v, draws %v: got %q from %v, want %q from %v", c.list, c.draws, got, sums, c.want, c.sums)
		}
	}
}

// Over many draws the first place goes by weight.
func TestWeightsInTheLongRun(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	first := map[string]int{}
	const rounds = 5000
	for range rounds {
		list := srvs("0 60 a", "0 30 b", "0 10 c", "0 0 z")
		byWeight(list, r.IntN)
		first[list[0].target]++
	}
	for name, weight := range map[string]int{"a": 60, "b": 30, "c": 10, "z": 1} { // of 101
		p := float64(weight) / 101
		want, deviation := rounds*p, math.Sqrt(rounds*p*(1-p))
		if got := float64(first[name]); math.Abs(got-want) > 4*deviation {
			t.Errorf("%s was first %v times, want about %v", name, got, want)
		}
	}
}

// Whatever is drawn, nothing is lost and priorities stay in order.
func TestWeightsKeepAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 12).Draw(t, "n")
		var list []srvRecord
		priority := 0
		for i := range n {
			priority += rapid.IntRange(0, 1).Draw(t, "step")
			list = append(list, srvRecord{priority: uint16(priority), weight: rapid.Uint16().Draw(t, "weight"), target: fmt.Sprint(i)})
		}
		byWeight(list, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "draw") })
		seen := map[string]bool{}
		for i, s := range list {
			seen[s.target] = true
			if i > 0 && s.priority < list[i-1].priority {
				t.Fatalf("priorities are mixed: %v", list)
			}
		}
		if len(seen) != n {
			t.Fatalf("%d records became %v", n, list)
		}
	})
}

// A new answer keeps the order of the one before, if that is young and had all of it.
func TestArrange(t *testing.T) {
	begin := newClock().now()
	for _, c := range []struct {
		name     string
		old, new []string
		after    time.Duration
		want     string
	}{
		{"first", nil, []string{"0 1 a", "0 1 b", "0 1 c"}, 0, "c b a"},
		{"the same", []string{"0 1 b", "0 1 a", "0 1 c"}, []string{"0 1 a", "0 1 b", "0 1 c"}, orderFor - 1, "b a c"},
		{"too old", []string{"0 1 b", "0 1 a", "0 1 c"}, []string{"0 1 a", "0 1 b", "0 1 c"}, orderFor, "c b a"},
		{"one has gone", []string{"0 1 b", "0 1 a", "0 1 c"}, []string{"0 1 a", "0 1 b"}, 1, "b a"},
		{"one is new", []string{"0 1 b", "0 1 a"}, []string{"0 1 a", "0 1 b", "0 1 c"}, 1, "c b a"},
		{"another weight", []string{"0 1 b", "0 1 a"}, []string{"0 2 a", "0 1 b"}, 1, "b a"},
		{"another priority", []string{"1 1 b", "1 1 a"}, []string{"0 1 a", "1 1 b"}, 1, "a b"},
	} {
		r := &records{srv: srvs(c.new...)}
		var old *records
		if c.old != nil {
			old = &records{srv: srvs(c.old...)}
		}
		drawn := r.arrange(old, begin, begin.Add(c.after), func(n int) int { return n - 1 })
		kept := drawn.Equal(begin) && c.after > 0
		if got := targetsOf(r.srv); got != c.want || kept != (c.name == "the same" || c.name == "one has gone") {
			t.Errorf("%s: got %q, drawn %v later; want %q", c.name, got, drawn.Sub(begin), c.want)
		}
	}
}

// The order of addresses, RFC 6724 §6 and its examples in §10.2.
func TestAddressOrder(t *testing.T) {
	for _, c := range []struct {
		name    string
		addrs   string
		sources string // by what an address begins with; without one there is no way
		want    string
	}{
		{"one", "192.0.2.1", "", "192.0.2.1"},
		{"no IPv6 (rule 1)", "2001:db8::1 192.0.2.1", "192=192.0.2.254", "192.0.2.1 2001:db8::1"},
		{"no IPv4 (rule 1)", "192.0.2.1 2001:db8::1", "2001=2001:db8::2", "2001:db8::1 192.0.2.1"},
		{"no way at all", "192.0.2.1 2001:db8::1 192.0.2.2", "", "2001:db8::1 192.0.2.1 192.0.2.2"},
		{"scope (rule 2)", "2001:db8:1::1 198.51.100.121", "2001=fe80::1 198=198.51.100.117", "198.51.100.121 2001:db8:1::1"},
		{"scope (rule 2), link-local IPv4", "198.51.100.121 2001:db8:1::1", "2001=2001:db8:1::2 198=169.254.13.78", "2001:db8:1::1 198.51.100.121"},
		{"label (rule 5)", "2002:c633:6401::1 2001:db8:1::1", "2001=2002:c633:6401::2 2002=2002:c633:6401::2", "2002:c633:6401::1 2001:db8:1::1"},
		{"precedence (rule 6)", "10.1.2.3 2001:db8:1::1", "2001=2001:db8:1::2 10=10.1.2.4", "2001:db8:1::1 10.1.2.3"},
		{"local IPv6 behind IPv4 (rule 6)", "fd00::1 192.0.2.1", "fd00=fd00::2 192=192.0.2.254", "192.0.2.1 fd00::1"},
		{"Teredo last", "2001::1 192.0.2.1", "2001=2001::2 192=192.0.2.254", "192.0.2.1 2001::1"},
		{"smaller scope (rule 8)", "2001:db8:1::1 fe80::1", "2001=2001:db8:1::2 fe80=fe80::2", "fe80::1 2001:db8:1::1"},
		{"site-local", "2001:db8::1 fec0::1", "2001=2001:db8::2 fec0=fec0::2", "2001:db8::1 fec0::1"},
		{"the rest stays (rule 10)", "192.0.2.3 192.0.2.1 192.0.2.2", "192=192.0.2.254", "192.0.2.3 192.0.2.1 192.0.2.2"},
	} {
		var addrs []netip.Addr
		for _, s := range strings.Fields(c.addrs) {
			addrs = append(addrs, netip.MustParseAddr(s))
		}
		got := byPreference(addrs, func(to netip.Addr) netip.Addr {
			for _, s := range strings.Fields(c.sources) {
				if prefix, source, _ := strings.Cut(s, "="); strings.HasPrefix(to.String(), prefix) {
					return netip.MustParseAddr(source)
				}
			}
			return netip.Addr{}
		})
		var texts []string
		for _, a := range got {
			texts = append(texts, a.String())
		}
		if s := strings.Join(texts, " "); s != c.want {
			t.Errorf("%s: got %s, want %s", c.name, s, c.want)
		}
	}
}

// The system tells which address it would send from, and that it has none.
func TestSource(t *testing.T) {
	lo := netip.MustParseAddr("127.0.0.1")
	if got := sourceOf(lo); got != lo {
		t.Errorf("to %v from %v", lo, got)
	}
	if got := sourceOf(netip.MustParseAddr("fe80::1%nowhere0")); got.IsValid() {
		t.Errorf("over an interface that is not there from %v", got)
	}
}
