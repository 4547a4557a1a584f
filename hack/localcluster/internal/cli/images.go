package cli

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/cluster"
	"github.com/wsfleet/wsfleet/hack/localcluster/internal/image"
)

func (a *app) loadImage() *cobra.Command {
	return &cobra.Command{
		Use:   "load-image FILE.tar...",
		Short: "Make images known to a cluster, from docker or OCI archives",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, archives []string) error {
			if err := cluster.CheckMachine(); err != nil {
				return err
			}
			c, err := a.cluster()
			if err != nil {
				return err
			}
			if err := c.CheckRunning(); err != nil {
				return err
			}
			return c.LoadImages(cmd.Context(), archives...)
		},
	}
}

func (a *app) buildImage() *cobra.Command {
	var spec image.Spec
	var files []string
	var output string
	cmd := &cobra.Command{
		Use:   "build-image",
		Short: "Make a container image from files, without a daemon",
		Long: `Writes a docker archive that holds the given files, /etc/passwd with the user nonroot (65532), the
certificate authorities of this machine and an empty /tmp. The same files always make the same archive.`,
		Example: `  localcluster build-image --name wsfleet/gateway:dev --add bin/wsfleet-gateway=/wsfleet-gateway \
    --entrypoint /wsfleet-gateway -o bin/gateway.tar`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			switch {
			case spec.Name == "":
				return usageError{errors.New("--name is missing: expected NAME:TAG, such as wsfleet/gateway:dev")}
			case output == "":
				return usageError{errors.New("--output is missing: expected the archive to write, such as gateway.tar")}
			case len(files) == 0:
				return usageError{errors.New("--add is missing: expected SRC=/DST at least once")}
			}
			for _, s := range files {
				source, target, ok := strings.Cut(s, "=")
				if !ok {
					return usageError{fmt.Errorf("--add %q: expected SRC=/DST", s)}
				}
				spec.Files = append(spec.Files, image.File{Source: source, Target: target})
			}
			return image.Build(spec, output)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&spec.Name, "name", "", "name and tag of the image")
	flags.StringArrayVar(&files, "add", nil, "SRC=/DST: a file or directory to add; may be given again")
	flags.StringArrayVar(&spec.Entrypoint, "entrypoint", nil, "what the image runs; given again for arguments")
	flags.StringVar(&spec.User, "user", "65532:65532", "UID:GID it runs as")
	flags.BoolVar(&spec.Libraries, "libs", false, "add the shared libraries that the files need")
	flags.StringVar(&spec.Platform, "platform", "linux/"+runtime.GOARCH, "OS/ARCHITECTURE the files are built for")
	flags.StringVarP(&output, "output", "o", "", "archive to write")
	return cmd
}
