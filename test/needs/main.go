// Command needs installs the Debian packages that the tests use.
package main

import (
	"fmt"
	"os"

	"github.com/stoxgw/stox/test/stage"
)

func main() {
	if err := stage.Install(stage.Missing(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
