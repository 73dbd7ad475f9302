package act

import (
	"context"
	"fmt"
	"sync"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/pull"
	"slipway.build/slipway/imagebuild/lock"
)

// Locks verifies a lock that came with a request, and finds images in it.
type Locks interface {
	Platforms(lockBytes, signature []byte, digest string, images []plan.Image) (map[string]*lock.Platform, error)
}

// Pull fetches images that a later plan will name, and verifies them as if it did. Nothing is
// switched; what no plan has asked for when the next one is confirmed is collected then.
type Pull struct {
	Locks  Locks
	Puller *pull.Puller
}

// Do implements Doer.
func (d *Pull) Do(ctx context.Context, job Job) (Outcome, error) {
	arguments := job.Request.Arguments
	images := make([]plan.Image, len(arguments.Images))
	for i, image := range arguments.Images {
		images[i] = plan.Image{Name: image.Name, Repository: image.Repository, Digest: image.Digest}
	}
	platforms, err := d.Locks.Platforms(job.Delivery.LockBytes, job.Delivery.LockSignature, arguments.Lock, images)
	if err != nil {
		return Outcome{}, err
	}
	wants := make([]pull.Want, len(images))
	for i, image := range arguments.Images {
		wants[i] = pull.Want{
			Name: image.Name, Repository: image.Repository, Manifest: image.Digest,
			Locked: platforms[image.Name], Root: !image.Import, Layout: image.Import,
		}
	}
	missing := d.Puller.Missing(wants)
	progress := &progress{tell: job.Progress}
	for _, want := range missing {
		progress.total += want.Bytes()
	}
	progress.add(0)
	if err := d.Puller.Pull(ctx, missing, arguments.Registries, progress.add); err != nil {
		return Outcome{}, err
	}
	fetched := map[string]bool{}
	for _, want := range missing {
		fetched[want.Name] = true
	}
	var outcome Outcome
	for _, want := range wants {
		message := "is here already"
		if fetched[want.Name] {
			message = fmt.Sprintf("fetched and verified, %d bytes", want.Bytes())
		}
		outcome.Results = append(outcome.Results, protocol.ActionResult{
			Name: want.Name, Status: protocol.ResultOK, Message: want.Manifest + " " + message,
		})
	}
	return outcome, nil
}

// progress adds up bytes from several goroutines.
type progress struct {
	tell func(protocol.Progress)

	mu          sync.Mutex
	done, total int64
}

func (p *progress) add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	p.tell(protocol.Progress{BytesDone: p.done, BytesTotal: p.total})
}
