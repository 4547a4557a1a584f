package integration

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	realgateway "github.com/wsfleet/wsfleet/gateway"
	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// realGateway is a gateway of the real code behind a pod, started from the configuration that the operator wrote.
type realGateway struct {
	*fakeGateway
	*realgateway.Gateway
	stop func()
}

// runGateway does the kubelet's part for one pod of the fleet: it starts the gateway.
func runGateway(t *testing.T, f *fleet, name string) *realGateway {
	t.Helper()
	running, err := realgateway.New(t.Context(), gatewayConfiguration(t, f, name), realgateway.Options{
		Version: "test", Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- running.Run(ctx) }()
	g := &realGateway{fakeGateway: &fakeGateway{f: f}, Gateway: running}
	g.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("gateway %s: %v", name, err)
		}
	})
	t.Cleanup(g.stop)
	g.createPod(t, name, running.AdminAddr())
	return g
}

// gatewayConfiguration loads the configuration from the pod's annotations, Secrets, arguments and environment. Only the
// ports differ, because many gateways share one address here.
func gatewayConfiguration(t *testing.T, f *fleet, podName string) config.Config {
	t.Helper()
	f.eventuallyHas(gatewayDeployment)
	var deployment appsv1.Deployment
	require.NoError(t,
		env.client.Get(t.Context(), types.NamespacedName{Namespace: f.namespace, Name: gatewayDeployment.name(f.name)},
			&deployment))
	template := deployment.Spec.Template.Spec
	root := t.TempDir()
	mountVolumes(t, f, root, deployment.Spec.Template)

	args := slices.Clone(template.Containers[0].Args)
	for i, arg := range args {
		if filepath.IsAbs(arg) {
			args[i] = filepath.Join(root, arg)
		}
	}
	args = append(args, "--"+contract.KeyListen, "127.0.0.1:0", "--"+contract.KeyAdminListen, "127.0.0.1:0",
		"--"+contract.KeyAdminTokenDir, filepath.Join(root, contract.AdminTokenDir))
	flags := config.Flags()
	require.NoError(t, flags.Parse(args))
	loaded, err := config.Load(flags, containerEnviron(t, f, podName, template.Containers[0].Env))
	require.NoError(t, err, "the gateway refuses what the operator wrote")
	require.Empty(t, loaded.Warnings)
	return loaded.Config
}

// mountVolumes writes the pod's annotations and Secrets below root, at the paths where it mounts them.
func mountVolumes(t *testing.T, f *fleet, root string, pod corev1.PodTemplateSpec) {
	t.Helper()
	paths := map[string]string{}
	for _, mount := range pod.Spec.Containers[0].VolumeMounts {
		paths[mount.Name] = filepath.Join(root, mount.MountPath)
	}
	for _, volume := range pod.Spec.Volumes {
		files := map[string][]byte{}
		switch {
		case volume.DownwardAPI != nil:
			for _, item := range volume.DownwardAPI.Items {
				annotation := strings.TrimSuffix(strings.TrimPrefix(item.FieldRef.FieldPath, "metadata.annotations['"), "']")
				require.Contains(t, pod.Annotations, annotation)
				files[item.Path] = []byte(pod.Annotations[annotation])
			}
		case volume.Secret != nil:
			files = readSecret(t, f, volume.Secret.SecretName)
		}
		require.NoError(t, os.MkdirAll(paths[volume.Name], 0o750))
		for name, content := range files {
			require.NoError(t, os.WriteFile(filepath.Join(paths[volume.Name], name), content, 0o600))
		}
	}
}

// containerEnviron returns the container's environment as NAME=value, with its references resolved.
func containerEnviron(t *testing.T, f *fleet, podName string, variables []corev1.EnvVar) []string {
	t.Helper()
	var environ []string
	for _, variable := range variables {
		value := variable.Value
		if from := variable.ValueFrom; from != nil {
			switch {
			case from.FieldRef != nil:
				require.Equal(t, "metadata.name", from.FieldRef.FieldPath)
				value = podName
			case from.SecretKeyRef != nil:
				content, has := readSecret(t, f, from.SecretKeyRef.Name)[from.SecretKeyRef.Key]
				if !has {
					require.True(t, from.SecretKeyRef.Optional != nil && *from.SecretKeyRef.Optional, "%s: no such key", variable.Name)
					continue
				}
				value = string(content)
			}
		}
		environ = append(environ, variable.Name+"="+value)
	}
	return environ
}

func readSecret(t *testing.T, f *fleet, name string) map[string][]byte {
	t.Helper()
	var secret corev1.Secret
	require.NoError(t, env.client.Get(t.Context(), types.NamespacedName{Namespace: f.namespace, Name: name}, &secret))
	return secret.Data
}
