package pull_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"slipway.build/slipway/agent/pull"
	"slipway.build/slipway/agent/testimage"
)

// BenchmarkPull pulls an image with one Go program from a registry on loopback into an empty
// store, verified and durable. Bytes are those of the unpacked file.
func BenchmarkPull(b *testing.B) {
	program, err := exec.LookPath("go")
	if err != nil {
		b.Skip("no go in PATH")
	}
	content, err := os.ReadFile(program)
	if err != nil {
		b.Fatal(err)
	}
	for len(content) < 64<<20 {
		content = append(content, content...)
	}
	for name, media := range map[string]string{"zstd": testimage.Zstd, "gzip": testimage.Gzip} {
		b.Run(name, func(b *testing.B) {
			image := testimage.New(b, "one", media, []testimage.File{{Path: "usr/bin/one", Content: content}})
			server := testimage.NewRegistry(b, nil, image)
			want := pull.Want{Name: "one", Repository: image.Locked.Repository, Manifest: image.Platform().Manifest, Locked: image.Platform(), Root: true}
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				b.StopTimer()
				puller := &pull.Puller{Store: &pull.Store{Dir: filepath.Join(b.TempDir(), "images")}, Client: pull.NewClient()}
				b.StartTimer()
				if err := puller.Pull(b.Context(), []pull.Want{want}, []string{server.URL}, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
