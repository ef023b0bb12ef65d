package mapping

import (
	"bytes"
	"encoding/base64"
	"mime/quotedprintable"
	"testing"

	"pgregory.net/rapid"
)

func TestTransferEncodings(t *testing.T) {
	for _, c := range []struct {
		transfer, in, want string
		status             int
	}{
		{"", "a=41", "a=41", 0}, {"7bit", "a", "a", 0}, {"8BIT ", "\xff", "\xff", 0}, {"binary", "\x00", "\x00", 0},
		{"base64", "aGk=", "hi", 0}, {"Base64", "aGk", "hi", 0}, {"base64", " a\r\nG\tk\n=\r\n", "hi", 0}, {"base64", "", "", 0}, {"base64", "aGlo", "hih", 0},
		{"base64", "aGk=aGk=", "", 400}, {"base64", "a", "", 400}, {"base64", "a-_b", "", 400}, {"base64", "====", "", 400},
		{"quoted-printable", "caf=C3=A9", "caf\xc3\xa9", 0}, {"QUOTED-PRINTABLE", "=c3=a9", "\xc3\xa9", 0},
		{"quoted-printable", "a=\r\nb=\nc=", "abc", 0}, {"quoted-printable", "a= \t\r\nb", "ab", 0},
		{"quoted-printable", "a \t\r\nb \nc ", "a\r\nb\nc", 0}, {"quoted-printable", "a=20\r\n", "a \r\n", 0},
		{"quoted-printable", "raw \xff =3D", "raw \xff =", 0},
		{"quoted-printable", "=4", "", 400}, {"quoted-printable", "=4g", "", 400}, {"quoted-printable", "a=b=c", "", 400}, {"quoted-printable", "==", "", 400},
		{"uuencode", "a", "", 415}, {"x-y", "a", "", 415}, {"base64, base64", "a", "", 415},
	} {
		got, f := decodeTransfer([]byte(c.in), c.transfer)
		status := 0
		if f != nil {
			status = f.Status
		}
		if string(got) != c.want || status != c.status {
			t.Errorf("%s %q: %q, %v, want %q, %d", c.transfer, c.in, got, f, c.want, c.status)
		}
	}
}

// What others write is read: the standard library, in lines of any length.
func TestTransferIsTheInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		var b bytes.Buffer
		w := quotedprintable.NewWriter(&b)
		w.Binary = true
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got, f := decodeTransfer(b.Bytes(), "quoted-printable"); f != nil || !bytes.Equal(got, body) {
			t.Fatalf("%q: %q, %v", b.String(), got, f)
		}
		text := base64.StdEncoding.EncodeToString(body)
		n := rapid.IntRange(0, len(text)).Draw(t, "break")
		if got, f := decodeTransfer([]byte(text[:n]+"\r\n"+text[n:]), "base64"); f != nil || !bytes.Equal(got, body) {
			t.Fatalf("%q: %q, %v", text, got, f)
		}
	})
}
