package digest

import (
	"encoding/json"
	"os"
	"strconv"
	"testing"
)

// TestVectors: T-D01 to T-D08, of RFC 2617, RFC 7616 and computed elsewhere.
func TestVectors(t *testing.T) {
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct{ ID, Algorithm, Username, Realm, Password, Method, URI, Nonce, NC, CNonce, QOP, Body, Response string }
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 8 {
		t.Fatalf("%d vectors", len(all))
	}
	for _, v := range all {
		nc, _ := strconv.ParseUint("0"+v.NC, 16, 32)
		got := algorithmOf(v.Algorithm).response(&proof{username: v.Username, realm: v.Realm, password: v.Password, method: v.Method,
			uri: v.URI, body: []byte(v.Body), nonce: v.Nonce, cnonce: v.CNonce, qop: v.QOP, nc: uint32(nc)})
		if got != v.Response {
			t.Errorf("%s: %s, not %s", v.ID, got, v.Response)
		}
	}
}
