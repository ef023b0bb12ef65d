package stage

import (
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The measures of a picture: a cell of the terminal, and the border around all of them.
const cellWidth, cellHeight, pictureBorder = 8, 18, 10

// The colours of a terminal, as they are on a dark screen.
var palette = [16]string{
	"#1d1f21", "#cc6666", "#8cb36c", "#d0b060", "#6f9fd0", "#b294bb", "#70b7b0", "#c5c8c6",
	"#666a6d", "#e08080", "#a5cc80", "#f0c674", "#81a2be", "#c9a9d4", "#8abeb7", "#ffffff",
}

const (
	paper = 0 // in palette: what has no colour of its own
	ink   = 7
)

// style is how a run of characters is drawn.
type style struct {
	ink, paper                int // in palette
	bold, underlined, inverse bool
}

var plain = style{ink: ink, paper: paper}

var escape = regexp.MustCompile("\x1b\\[([0-9;]*)m|\x1b\\([AB0]|[\x0e\x0f]")

// Picture draws the screen of a program, as Colours has it, as an SVG. The text in it is text.
func Picture(title, program, screen string, width int) string {
	rows := 1 + strings.Count(strings.TrimRight(screen, "\n"), "\n")
	w, h := width*cellWidth+2*pictureBorder, rows*cellHeight+2*pictureBorder
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="13">`+"\n", w, h)
	fmt.Fprintf(&b, "<title>%s</title>\n<desc>%s</desc>\n<rect width=\"%d\" height=\"%d\" rx=\"6\" fill=\"%s\"/>\n", Escape(title), Escape(program), w, h, palette[paper])
	eachRun(screen, func(now style, text string, column, row int) { drawRun(&b, now, text, column, row) })
	b.WriteString("</svg>\n")
	return b.String()
}

// eachRun calls f with the characters of a screen, those of one style at a time.
func eachRun(screen string, f func(now style, text string, column, row int)) {
	now := plain
	for row, line := range strings.Split(strings.TrimRight(screen, "\n"), "\n") {
		column := 0
		run := func(text string) {
			if text != "" {
				f(now, text, column, row)
				column += utf8.RuneCountInString(text)
			}
		}
		for line != "" {
			at := escape.FindStringSubmatchIndex(line)
			if at == nil {
				run(line)
				break
			}
			run(line[:at[0]])
			if at[2] >= 0 {
				now = now.with(line[at[2]:at[3]])
			}
			line = line[at[1]:]
		}
	}
}

// inkOf is the colour of a text on the screen, in a line that begins with a word.
func inkOf(screen, begin, text string) (ink int, found bool) {
	line, at := "", -1
	eachRun(screen, func(now style, run string, _, row int) {
		if row != at {
			line, at = "", row
		}
		line += run
		if strings.HasPrefix(line, begin) && strings.Contains(run, text) {
			ink, found = now.ink, true
		}
	})
	return ink, found
}

// drawRun draws characters of one style. The length of the text is given, so that columns
// stay columns, whatever the font is.
func drawRun(b *strings.Builder, s style, text string, column, row int) {
	n := utf8.RuneCountInString(text)
	x, y := pictureBorder+column*cellWidth, pictureBorder+row*cellHeight
	if s.inverse {
		s.ink, s.paper = s.paper, s.ink
	}
	if s.paper != paper {
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>`+"\n", x, y, n*cellWidth, cellHeight, palette[s.paper])
	}
	if strings.TrimSpace(text) == "" {
		return
	}
	var more string
	if s.bold {
		more += ` font-weight="bold"`
	}
	if s.underlined {
		more += ` text-decoration="underline"`
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" textLength="%d" fill="%s"%s xml:space="preserve">%s</text>`+"\n", x, y+13, n*cellWidth, palette[s.ink], more, Escape(text))
}

// with is the style after a sequence Select Graphic Rendition (ECMA-48 §8.3.117) with these
// parameters. What a picture does not show is ignored.
func (s style) with(parameters string) style {
	var p []int
	for _, text := range strings.Split(parameters, ";") {
		n, _ := strconv.Atoi(text) // "" is 0
		p = append(p, n)
	}
	for i := 0; i < len(p); i++ {
		switch n := p[i]; {
		case n == 0:
			s = plain
		case n == 1:
			s.bold = true
		case n == 4:
			s.underlined = true
		case n == 7:
			s.inverse = true
		case n == 22:
			s.bold = false
		case n == 24:
			s.underlined = false
		case n == 27:
			s.inverse = false
		case n >= 30 && n <= 37:
			s.ink = n - 30
		case n == 39:
			s.ink = ink
		case n >= 40 && n <= 47:
			s.paper = n - 40
		case n == 49:
			s.paper = paper
		case n >= 90 && n <= 97:
			s.ink = n - 90 + 8
		case n >= 100 && n <= 107:
			s.paper = n - 100 + 8
		case (n == 38 || n == 48) && i+2 < len(p) && p[i+1] == 5:
			if c := p[i+2]; c < len(palette) { // of 256 colours those that have a name
				if n == 38 {
					s.ink = c
				} else {
					s.paper = c
				}
			}
			i += 2
		}
	}
	return s
}

// PictureText is the text in a picture: its lines, without what is blank at their ends.
func PictureText(svg string) (string, error) {
	type run struct {
		X    int    `xml:"x,attr"`
		Y    int    `xml:"y,attr"`
		Text string `xml:",chardata"`
	}
	var lines []string
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return strings.Join(lines, "\n"), nil
		}
		if err != nil {
			return "", err
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "text" {
			continue
		}
		var r run
		if err := d.DecodeElement(&r, &start); err != nil {
			return "", err
		}
		row, column := (r.Y-pictureBorder)/cellHeight, (r.X-pictureBorder)/cellWidth
		for len(lines) <= row {
			lines = append(lines, "")
		}
		lines[row] += strings.Repeat(" ", max(0, column-utf8.RuneCountInString(lines[row])))
		lines[row] = strings.TrimRight(lines[row]+r.Text, " ")
	}
}
