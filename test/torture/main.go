// Command torture plays the messages of RFC 4475, which are not in this repository, to the
// SIP side of stox, over UDP and TCP:
//
//	make torture RFC4475=DIR
//	go run ./test/torture DIR
//
// DIR has a file for each, named as in the RFC: wsinv.dat, intmeth.dat ... What becomes of
// each is compared with the table in cases.go, and if all is as it says there, the section
// about it in docs/interop.md is written anew. That table is also what is tested without the
// messages: that the section is the table's.
//
// They come from a peer that is known and may speak for anybody, over a network in memory,
// and whatever gets through the SIP side is answered 200: what the daemon would say about
// addresses that it does not serve is not in question here.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

const document = "docs/interop.md"

func main() {
	if len(os.Args) != 2 || os.Args[1] == "" {
		fmt.Fprintln(os.Stderr, "usage: torture DIR, where DIR has the messages of RFC 4475: wsinv.dat, intmeth.dat ...")
		os.Exit(2)
	}
	wrong, err := torture(os.Args[1])
	if err == nil && wrong == 0 {
		err = rewrite(document)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		os.Exit(1)
	}
	if wrong != 0 {
		fmt.Fprintf(os.Stderr, "torture: %d verdicts are not those of the table\n", wrong)
		os.Exit(1)
	}
	fmt.Printf("All %d messages were answered as the table says, over UDP and TCP; it is in %s.\n", len(cases), document)
}

// torture plays all messages and tells of those whose verdict is another one.
func torture(dir string) (wrong int, err error) {
	for _, c := range cases {
		message, err := os.ReadFile(filepath.Join(dir, c.name+".dat"))
		if err != nil {
			return wrong, err
		}
		if !bytes.Contains(message, []byte("\r\n\r\n")) {
			message = append(message, "\r\n"...) // as in the RFC
		}
		for _, way := range []struct{ network, want string }{{"udp", c.udp}, {"tcp", c.tcp}} {
			got, err := play(way.network, message)
			if err != nil {
				return wrong, fmt.Errorf("%s over %s: %w", c.name, way.network, err)
			}
			if got != way.want {
				fmt.Printf("%s over %s: %s; the table says: %s\n", c.name, way.network, got, way.want)
				wrong++
			}
		}
	}
	return wrong, nil
}
