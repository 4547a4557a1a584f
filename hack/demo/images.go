package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// The names of the environment's images, without a tag.
const (
	operatorImage = "wsfleet/operator"
	gatewayImage  = "wsfleet/gateway"
	redisImage    = "wsfleet/redis"
	clientImage   = "wsfleet/e2e-client"
)

// image describes an image archive: programs of this repository, or of the system.
type image struct {
	name       string
	build      string            // Go package, built static; empty for programs of the system
	files      map[string]string // destination in the image: source
	entrypoint string
	libraries  bool // add the shared libraries that the programs need
}

func images(withClient bool) ([]image, error) {
	redisServer, err1 := exec.LookPath("redis-server")
	redisCLI, err2 := exec.LookPath("redis-cli")
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("%w: run hack/install-deps.sh redis", err)
	}
	list := []image{
		{
			name:       operatorImage,
			build:      "./cmd/operator",
			entrypoint: "/wsfleet-operator",
			files:      map[string]string{"/wsfleet-operator": "bin/wsfleet-operator"},
		},
		{
			name:       gatewayImage,
			build:      "./cmd/gateway",
			entrypoint: "/wsfleet-gateway",
			files:      map[string]string{"/wsfleet-gateway": "bin/wsfleet-gateway"},
		},
		{name: redisImage, entrypoint: "/usr/local/bin/redis-server", libraries: true,
			files: map[string]string{"/usr/local/bin/redis-server": redisServer, "/usr/local/bin/redis-cli": redisCLI}},
	}
	if withClient {
		list = append(list,
			image{
				name:       clientImage,
				build:      "./test/e2e/client",
				entrypoint: "/wsfleet-e2e-client",
				files:      map[string]string{"/wsfleet-e2e-client": "bin/wsfleet-e2e-client"},
			})
	}
	return list, nil
}

// make builds the image's program and its archive and returns its full name. The tag is the hash
// of the contents: an unchanged image keeps its name, so that pods do not restart without a reason.
func (i image) make(ctx context.Context) (name, archive string, err error) {
	if i.build != "" {
		for _, target := range i.files {
			if _, err := runEnv(ctx, []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-ldflags",
				"-s -w -X main.version=dev", "-o", target, i.build); err != nil {
				return "", "", err
			}
		}
	}
	tag, err := i.tag()
	if err != nil {
		return "", "", err
	}
	name = i.name + ":" + tag
	archive = filepath.Join("dist", "images", filepath.Base(i.name)+"-"+tag+".tar")
	if _, err := os.Stat(archive); err == nil {
		return name, archive, nil
	}
	if err := os.MkdirAll(filepath.Dir(archive), 0o755); err != nil {
		return "", "", err
	}
	old, err := filepath.Glob(filepath.Join("dist", "images", filepath.Base(i.name)+"-*.tar"))
	if err != nil {
		return "", "", err
	}
	for _, o := range old {
		if err := os.Remove(o); err != nil {
			return "", "", err
		}
	}
	args := []string{"build-image", "--name", name, "--entrypoint", i.entrypoint, "--user", "65532:65532", "-o", archive}
	for _, destination := range slices.Sorted(maps.Keys(i.files)) {
		args = append(args, "--add", i.files[destination]+"="+destination)
	}
	if i.libraries {
		args = append(args, "--libs")
	}
	_, err = run(ctx, localcluster, args...)
	return name, archive, err
}

func (i image) tag() (string, error) {
	h := sha256.New()
	_, _ = io.WriteString(h, strings.Join([]string{i.name, i.entrypoint}, "\n"))
	for _, destination := range slices.Sorted(maps.Keys(i.files)) {
		sum, err := fileHash(i.files[destination])
		if err != nil {
			return "", err
		}
		_, _ = h.Write(sum)
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

func fileHash(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}
