// Command needs installs the Debian packages that the tests use, or those that are named.
package main

import (
	"fmt"
	"os"

	"github.com/stoxgw/stox/test/stage"
)

func main() {
	if err := stage.Install(stage.Missing(os.Args[1:]...), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
