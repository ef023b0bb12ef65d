package mapping

import (
	"slices"
	"strings"
)

// What an HTML text may cost. Real ones need little of it; what is over is flattened, its
// text stays. For the tags alone there is no such way out: each is work, whatever becomes of
// it, and a hundred octets of gzip have room for twenty thousand. So many are 20 KiB of the
// densest that mail programs write, and far more than a chat has.
const (
	maxHTMLTags    = 1000 // tags of all HTML in a request: one over it is 413
	maxHTMLOpen    = 100  // elements that are open at a time
	maxHTMLBlocks  = 10   // depth of lists and quotes in the markup
	maxHTMLInlines = 6    // depth of the elements in a paragraph
	maxHTMLAttrs   = 64   // attributes of a tag that are looked at
	maxHTMLImages  = 16   // addresses of images that are told where there is no text
	maxHTMLRepairs = 1000 // end tags that leave open what was opened later; further ones end that too
	htmlFactor     = 4    // the markup, escaped, has at most so many bytes for each byte of the source,
	htmlRoom       = 1024 // and these
)

// readHTML gives the two forms in which an HTML text goes to XMPP: what a reader would
// see, as plain text with LF, and XHTML-IM (XEP-0071 §7, CT-03 to CT-05, SEC-23).
// Whatever src is, a document or a piece of one, well-formed or not, it takes a time in
// proportion to its length, and neither form is much longer than src.
//
// The markup has only what the whitelist has. Paragraphs are its blocks, beside lists and
// quotes; formatting that has another name is told by the names there are (b is strong,
// u is a span that is underlined, h1 a paragraph in strong); rows of a table are lines.
// It is nil if it would add nothing to the plain text, and if it would be too long.
//
// In the plain text a blank line is between paragraphs, "> " before quotes, "- " or
// "1. " before items, " | " between the cells of a row, and the alt text is where an
// image was. The target of a link comes after its text, as in "text <https://example.net/a>",
// unless that is the target. With links false, which is for a text that has the markup
// with it, a link to the front page of a site is left to the markup, unless its text
// looks like another place: it is mostly the name of a company, in a signature.
//
// Scripts, styles, head, embedded objects and what is hidden are in neither form.
//
// Where a reader would see pictures and the like and no text at all, plain has the
// addresses of the pictures, each on a line. ok is false if they have none that anybody
// else could follow: there would be something to show, and it cannot be said.
func readHTML(src string, links bool) (plain string, markup []Node, ok bool) {
	tree, unsaid := parseHTML(src)
	markup = xhtml(tree, htmlFactor*len(src)+htmlRoom)
	if plain = plainHTML(tree, links || markup == nil, len(src)); plain != "" || unsaid == nil {
		return plain, markup, true
	}
	unsaid = slices.DeleteFunc(unsaid, func(url string) bool { return url == "" })
	plain = strings.Join(unsaid, "\n")
	return plain, markup, plain != ""
}

// countTags is the number of tags in src, those that end an element included, or a little
// more: what stands in comments, scripts and attributes counts too.
func countTags(src string) (n int) {
	for {
		i := strings.IndexByte(src, '<')
		if i < 0 || i+1 == len(src) {
			return n
		}
		if c := src[i+1] | 0x20; c >= 'a' && c <= 'z' || src[i+1] == '/' {
			n++
		}
		src = src[i+1:]
	}
}
