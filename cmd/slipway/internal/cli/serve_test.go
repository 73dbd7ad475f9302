package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	checkimage "github.com/google/go-containerregistry/pkg/v1/validate"

	"slipway.build/slipway/imagebuild/bundle"
	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/layout/layouttest"
)

func TestServeGivesImagesOfALayoutAndAnArchiveUntilItIsInterrupted(t *testing.T) {
	f := layouttest.New(t)
	l, err := layout.Open(f.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	archive := filepath.Join(t.TempDir(), "bundle.tar")
	if _, err := bundle.Create(t.Context(), archive, bundle.Layout{Layout: l}, nil); err != nil {
		t.Fatal(err)
	}
	for kind, path := range map[string]string{"layout": f.Dir, "archive": archive} {
		t.Run(kind, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			out, in := io.Pipe()
			var errs bytes.Buffer
			ended := make(chan int, 1)
			go func() {
				code := Run(ctx, []string{"images", "serve", path, "--listen", "127.0.0.1:0", "-o", "json"}, IO{In: strings.NewReader(""), Out: in, Err: &errs})
				in.Close()
				ended <- code
			}()
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil {
				t.Fatalf("%v, code %d: %s", err, <-ended, &errs)
			}
			go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the command, which closes the pipe
			var said struct{ Registry string }
			if err := json.Unmarshal([]byte(line), &said); err != nil {
				t.Fatalf("%v in %s", err, line)
			}
			for _, img := range f.Lock.Images {
				repository, err := name.NewRepository(said.Registry + "/" + img.Repository)
				if err != nil {
					t.Fatal(err)
				}
				index, err := remote.Index(repository.Tag(img.Version))
				if err != nil {
					t.Fatal(err)
				}
				if got, err := index.Digest(); err != nil || got.String() != img.Index {
					t.Errorf("%s: index %s, %v", img.Name, got, err)
				}
				image, err := remote.Image(repository.Digest(img.Platforms[0].Gzip.Manifest))
				if err == nil {
					err = checkimage.Image(image)
				}
				if err != nil {
					t.Errorf("%s: %v", img.Name, err)
				}
			}
			interrupt()
			if code := <-ended; code != ExitOK {
				t.Errorf("code %d: %s", code, &errs)
			}
		})
	}
}

func TestServeRefusesWhatIsNoLayout(t *testing.T) {
	var out, errs bytes.Buffer
	code := Run(t.Context(), []string{"images", "serve", t.TempDir(), "--listen", "127.0.0.1:0"}, IO{In: strings.NewReader(""), Out: &out, Err: &errs})
	if code != ExitFailed || !strings.Contains(errs.String(), "it is no OCI layout") {
		t.Errorf("%d, %s%s", code, &out, &errs)
	}
}
