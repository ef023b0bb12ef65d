package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/stoxgw/stox/internal/version"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := "stox " + version.String()
			if c := version.Commit(); c != "" {
				out += " (" + c + ")"
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s %s/%s\n", out, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
