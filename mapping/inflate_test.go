package mapping

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// deflated is s in one of the formats gzip, zlib (deflate) and raw.
func deflated(t fataler, format, s string) string {
	var b bytes.Buffer
	var w io.WriteCloser
	switch format {
	case "gzip", "x-gzip":
		w = gzip.NewWriter(&b)
	case "raw":
		w, _ = flate.NewWriter(&b, flate.BestCompression)
	default:
		w = zlib.NewWriter(&b)
	}
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatalf("%v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatalf("%v", err)
	}
	return b.String()
}

// CT-13.
func TestInflate(t *testing.T) {
	const text = "Speak again, bright angel!"
	zipped, zlibbed, raw := deflated(t, "gzip", text), deflated(t, "deflate", text), deflated(t, "raw", text)
	full := strings.Repeat("x", maxInflated)
	for _, c := range []struct {
		encoding, body, want string
		status               int
	}{
		{"identity", text, text, 0}, {" , Identity", text, text, 0},
		{"gzip", zipped, text, 0}, {"GZip", zipped, text, 0}, {"x-gzip", zipped, text, 0},
		{"deflate", zlibbed, text, 0}, {"deflate", raw, text, 0}, {"identity, DEFLATE", zlibbed, text, 0},
		{"deflate, gzip", deflated(t, "gzip", zlibbed), text, 0},
		{"gzip,deflate", deflated(t, "deflate", zipped), text, 0},
		{"gzip, identity, gzip,gzip", deflated(t, "gzip", deflated(t, "gzip", zipped)), text, 0},
		{"gzip", zipped + deflated(t, "gzip", " More."), text + " More.", 0}, // members, RFC 1952 §2.2
		{"gzip", deflated(t, "gzip", ""), "", 0},
		{"gzip", deflated(t, "gzip", full), full, 0},
		{"deflate", deflated(t, "raw", full), full, 0},
		{"gzip", deflated(t, "gzip", full+"x"), "", 413},
		{"deflate", deflated(t, "deflate", full+"x"), "", 413},
		{"deflate", deflated(t, "raw", full+"x"), "", 413},
		{"gzip, gzip", deflated(t, "gzip", deflated(t, "gzip", strings.Repeat(full, 100))), "", 413},
		{"gzip", text, "", 400}, {"deflate", text, "", 400}, {"gzip", zlibbed, "", 400}, {"deflate", zipped, "", 400},
		{"gzip", zipped[:len(zipped)-1], "", 400}, {"deflate", zlibbed[:len(zlibbed)-1], "", 400}, {"deflate", raw[:len(raw)-1], "", 400},
		{"gzip", zipped[:len(zipped)-5] + "\x00\x00\x00\x00\x00", "", 400}, // the checksum
		{"gzip", zipped + "x", "", 400}, {"deflate", zlibbed + "x", "", 400}, {"deflate", raw + "x", "", 400},
		{"br", text, "", 415}, {"gzip, br", zipped, "", 415}, {"compress", text, "", 415}, {"gzip;q=1", zipped, "", 415},
		{"gzip,gzip,gzip,gzip", zipped, "", 415},
		{"gzip", deflated(t, "gzip", "caf\xe9"), "", 400},
	} {
		wantBody(t, "text/plain", c.encoding, "", c.body, c.want, c.status)
	}
	// What is of no use is not inflated.
	wantBody(t, "image/png", "gzip", "", "no gzip", "", 415)
}

// The limit is that of all parts together, not of each.
func TestInflateAllTogether(t *testing.T) {
	half := deflated(t, "gzip", strings.Repeat("x", maxInflated/2))
	part := "--b\r\nContent-Encoding: gzip\r\n\r\n" + half + "\r\n"
	c, f := readBody(t, "multipart/mixed;boundary=b", "", "", strings.Repeat(part, 2)+"--b--")
	if f != nil || len(c.text) != maxInflated+2 {
		t.Errorf("%d, %v", len(c.text), f)
	}
	wantBody(t, "multipart/mixed;boundary=b", "", "", strings.Repeat(part, 2)+"--b\r\nContent-Encoding: gzip\r\n\r\n"+deflated(t, "gzip", "x")+"\r\n--b--", "", 413)
}

func TestInflateIsTheInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := string(rapid.SliceOf(rapid.Byte()).Draw(t, "body"))
		formats := rapid.SliceOfN(rapid.SampledFrom([]string{"gzip", "deflate", "raw"}), 0, maxCodings).Draw(t, "formats")
		wire := body
		for _, format := range formats {
			wire = deflated(t, format, wire)
		}
		d := reading{left: maxInflated}
		got, f := d.inflate([]byte(wire), strings.ReplaceAll(strings.Join(formats, ", "), "raw", "deflate"))
		if f != nil || string(got) != body {
			t.Fatalf("%q: %v", got, f)
		}
	})
}
