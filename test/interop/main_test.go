//go:build interop

// Package interop runs stox between real programs. What has crossed between which
// programs and versions is docs/interop.md: these tests write it (make
// interop-report) and fail if it lacks something that they have seen.
package interop

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/stoxgw/stox/test/stage"
)

// handedOver is what SIP is answered for a message that the XMPP server has
// processed and that did not bounce.
const handedOver = 200

const sipDomain = "sip.test"

var (
	juliet = stage.Account{Local: "juliet", Password: "juliet-secret"}
	romeo  = stage.Account{Local: "romeo", Password: "romeo-secret"}
)

var (
	stoxBinary string
	workDir    string // of all that tests share
)

var updateReport = flag.Bool("update-report", false, "write docs/interop.md")

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := stage.Install(stage.Missing(), os.Stdout); err != nil {
		return fail(err)
	}
	var err error
	if workDir, err = os.MkdirTemp("", "stox-interop-"); err != nil {
		return fail(err)
	}
	defer os.RemoveAll(workDir)
	if stoxBinary, err = stage.BuildStox(context.Background(), workDir, true); err != nil {
		return fail(err)
	}
	defer closeServers()
	status := m.Run()
	all := flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == "" && flag.Lookup("test.list").Value.String() == ""
	switch {
	case *updateReport && (status != 0 || !all):
		return fail(fmt.Errorf("%s is written only by a run of all tests without a failure", reportFile))
	case *updateReport:
		err = crossings.write(reportFile)
	case status == 0:
		err = crossings.check(reportFile, all)
	}
	if err != nil {
		return fail(err)
	}
	return status
}
