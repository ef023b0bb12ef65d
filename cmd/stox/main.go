// Command stox joins an XMPP server and the SIP world. See stox --help.
package main

import (
	"os"

	"github.com/stoxgw/stox/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], cli.System()))
}
