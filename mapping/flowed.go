package mapping

import "strings"

// unflow joins the lines of a text/plain with format=flowed into paragraphs (RFC 3676
// §4): a line that ends in a space goes on in the next one. delSp is the parameter
// DelSp=yes: that space is no part of the text. The ">" of quotes are kept.
//
// An empty line ends a paragraph even if the line before it should go on, as a reader
// would have it.
func unflow(s string, delSp bool) string {
	var b strings.Builder
	b.Grow(len(s))
	first, open, depth := true, false, 0
	for line := range strings.SplitSeq(s, "\n") {
		quotes := 0
		for quotes < len(line) && line[quotes] == '>' {
			quotes++
		}
		text := strings.TrimPrefix(line[quotes:], " ") // space-stuffing, §4.4
		signature := text == "-- "                     // a line of its own, §4.3
		if !open || quotes != depth || text == "" || signature {
			if !first {
				b.WriteByte('\n')
			}
			b.WriteString(line[:quotes])
			if quotes > 0 && text != "" {
				b.WriteByte(' ')
			}
		}
		first, depth = false, quotes
		if open = strings.HasSuffix(text, " ") && !signature; open && delSp {
			text = text[:len(text)-1]
		}
		b.WriteString(text)
	}
	return b.String()
}
