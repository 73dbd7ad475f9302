package livemedia

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"syscall"
	"testing"
	"time"

	"slipway.build/slipway/test/smalldisk"
)

// asEmbedder makes this test binary a program that embeds one configuration after the other
// until it is killed.
const asEmbedder = "SLIPWAY_TEST_EMBED"

type job struct {
	ISO     string
	InPlace bool
}

func TestMain(m *testing.M) {
	text := os.Getenv(asEmbedder)
	if text == "" {
		os.Exit(m.Run())
	}
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		panic(err)
	}
	for n := 0; ; n++ {
		if _, err := Embed(context.Background(), j.ISO, variant(n%2), true, Target{InPlace: j.InPlace}); err != nil {
			panic(err)
		}
		_, _ = os.Stdout.WriteString(".")
	}
}

// variant is one of two contents of different lengths.
func variant(n int) Content {
	return Content{Config: bytes.Repeat([]byte{byte('a' + n)}, 1000*(n+1)), Network: content().Network}
}

func TestAKilledChangeLeavesTheOldOrTheNewContents(t *testing.T) {
	for name, inPlace := range map[string]bool{"by a copy": false, "in place": true} {
		t.Run(name, func(t *testing.T) {
			iso := image(t, form{})
			if _, err := Embed(t.Context(), iso, variant(0), false, Target{}); err != nil {
				t.Fatal(err)
			}
			m, _, err := Open(iso)
			if err != nil {
				t.Fatal(err)
			}
			outside := func() []byte {
				b := bytesOf(t, iso)
				clear(b[m.Ignition.Offset:m.Ignition.end()])
				return b
			}
			want := outside()
			interrupted := 0
			for range 15 {
				kill(t, job{iso, inPlace})
				undone, err := Recover(iso)
				if err != nil {
					t.Fatal(err)
				}
				if undone {
					interrupted++
				}
				_, c, err := Open(iso)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(c, variant(0)) && !reflect.DeepEqual(c, variant(1)) {
					t.Fatalf("neither the old nor the new contents: %d bytes", len(c.Config))
				}
				if !bytes.Equal(outside(), want) {
					t.Fatal("something outside the area has changed")
				}
			}
			t.Logf("%d of 15 kills hit a change in place that had to be undone", interrupted)
		})
	}
}

// kill starts the job and kills it some time after its first change.
func kill(t *testing.T, j job) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asEmbedder+"="+string(jsonOf(t, j)))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	<-time.After(time.Duration(rand.IntN(30_000)) * time.Microsecond)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
}

func TestALargeImageIsNeverInMemory(t *testing.T) {
	iso := image(t, form{})
	if err := os.Truncate(iso, 1<<30); err != nil { // sparse, as if a root file system followed
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Embed(t.Context(), iso, content(), false, Target{InPlace: true}); err != nil {
		t.Fatal(err)
	}
	if _, c, err := Open(iso); err != nil || !reflect.DeepEqual(c, content()) {
		t.Fatalf("%+v, %v", c, err)
	}
	if err := os.Truncate(iso, 128<<20); err != nil {
		t.Fatal(err)
	}
	var told int64
	if _, err := Embed(t.Context(), iso, content(), true, Target{Progress: func(done, _ int64) { told = done }}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
	if told != 128<<20 {
		t.Errorf("progress ended at %d", told)
	}
}

func TestAFullDiskLeavesTheImageAsItWas(t *testing.T) {
	iso := image(t, form{})
	size := len(bytesOf(t, iso))
	dir := smalldisk.Mount(t, size+size*4/5)
	full := filepath.Join(dir, "live.iso")
	if err := os.WriteFile(full, bytesOf(t, iso), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Embed(t.Context(), full, content(), false, Target{}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error = %v", err)
	}
	if !bytes.Equal(bytesOf(t, full), bytesOf(t, iso)) {
		t.Error("the image has changed")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if _, err := Embed(t.Context(), full, content(), false, Target{InPlace: true}); err != nil {
		t.Errorf("in place: %v", err)
	}
}
