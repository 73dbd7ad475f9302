//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"slipway.build/slipway/test/harness"
)

// ourRegistry is the local cloud's, as its nodes reach it.
const ourRegistry = "172.29.0.1:5000"

// imagesAreVerified runs a pod of an image of the lock and one of a tenant's; one of other bytes in a repository
// of the lock is refused, and the pod's event says why.
func (s *system) imagesAreVerified(t *testing.T) {
	tags, err := remote.List(repository(t, ourRegistry+"/slipway/pause"))
	if err != nil || len(tags) == 0 {
		t.Fatalf("the registry's tags of pause: %v, %v", tags, err)
	}
	locked := ourRegistry + "/slipway/pause@" + nodesManifest(t, ourRegistry+"/slipway/pause:"+tags[0])
	image, err := remote.Image(reference(t, locked))
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.Config.Labels = map[string]string{"by": "somebody else"}
	changed, err := mutate.Config(image, config.Config)
	if err != nil {
		t.Fatal(err)
	}
	theirs := foreignRegistry(t)
	for name, image := range map[string]v1.Image{"slipway/pause:v1": changed, "team/app:v1": changed} {
		if err := remote.Write(reference(t, theirs+"/"+name), image); err != nil {
			t.Fatal(err)
		}
	}
	for _, host := range []string{ourRegistry, theirs} {
		for _, n := range s.nodes() {
			reach(t, n, host)
		}
	}
	digest, err := changed.Digest()
	if err != nil {
		t.Fatal(err)
	}
	pods := map[string]string{"locked": locked, "tenant": theirs + "/team/app:v1", "swapped": theirs + "/slipway/pause:v1"}
	for pod, image := range pods {
		s.kubectl.Run(t, "run", pod, "--image", image, "--image-pull-policy=Always", "--restart=Never")
	}
	for _, pod := range []string{"locked", "tenant"} {
		harness.Eventually(t, 3*time.Minute, "the pod "+pod, func() error {
			phase, err := s.kubectl.Try("get", "pod", pod, "-o", "jsonpath={.status.phase}")
			if err == nil && phase != "Running" {
				err = fmt.Errorf("%s; %s", phase, s.eventsOf(t, pod))
			}
			return err
		})
	}
	want := digest.String() + " is in no lock that counts here"
	harness.Eventually(t, 3*time.Minute, "the refusal", func() error {
		if said := s.eventsOf(t, "swapped"); !strings.Contains(said, want) || !strings.Contains(said, "image verifier") {
			return fmt.Errorf("want %q, the pod's events: %s", want, said)
		}
		return nil
	})
	t.Logf("events of the refused pod: %s", s.eventsOf(t, "swapped"))
	for pod := range pods {
		s.kubectl.Run(t, "delete", "pod", pod, "--now")
	}
}

// nodesManifest is the one manifest of an image that a system for nodes always has: the other form is packed for publishing only.
func nodesManifest(t *testing.T, image string) string {
	t.Helper()
	index, err := remote.Index(reference(t, image))
	if err != nil {
		t.Fatal(err)
	}
	list, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list.Manifests {
		if d.Platform != nil && d.Platform.Architecture == "amd64" && d.Annotations["io.github.containers.compression.zstd"] == "true" {
			return d.Digest.String()
		}
	}
	t.Fatalf("%s has no manifest of layers in zstd: %+v", image, list.Manifests)
	return ""
}

// eventsOf are the messages of a pod's events.
func (s *system) eventsOf(t *testing.T, pod string) string {
	t.Helper()
	return s.kubectl.Run(t, "get", "events", "--field-selector", "involvedObject.name="+pod, "-o", `jsonpath={range .items[*]}{.reason}: {.message}{"\n"}{end}`)
}

// foreignRegistry serves a registry that belongs to somebody else, at an address that nodes reach.
func foreignRegistry(t *testing.T) string {
	t.Helper()
	host, _, err := net.SplitHostPort(ourRegistry)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0))), ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return listener.Addr().String()
}

// reach says on a node that a registry speaks plain HTTP, as an operator does.
func reach(t *testing.T, n harness.Server, host string) {
	t.Helper()
	file := n.File("/etc/containerd/certs.d/" + host + "/hosts.toml")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("server = \"http://"+host+"\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func repository(t *testing.T, text string) name.Repository {
	t.Helper()
	r, err := name.NewRepository(text, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func reference(t *testing.T, text string) name.Reference {
	t.Helper()
	r, err := name.ParseReference(text, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
