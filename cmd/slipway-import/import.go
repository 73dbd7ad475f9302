package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// namespace is where the runtime keeps the images of pods.
const namespace = "k8s.io"

// criLabels mark an image as one that pods may use, and keep kubelet's clean-up from it: what was
// imported cannot be pulled again when the registry is away.
func criLabels() map[string]string {
	return map[string]string{"io.cri-containerd.image": "managed", "io.cri-containerd.pinned": "pinned"}
}

func run(ctx context.Context, o options) error {
	c, err := client.New(o.Address, client.WithDefaultNamespace(namespace))
	if err != nil {
		return fmt.Errorf("connect to containerd at %s: %w", o.Address, err)
	}
	defer c.Close()
	ctx = namespaces.WithNamespace(ctx, namespace)
	manifest, target, err := layout(o.Layout).manifest(o.Digest)
	if err != nil {
		return err
	}
	ctx, release, err := c.WithLease(ctx) // nothing is collected before the image refers to it
	if err != nil {
		return fmt.Errorf("take a lease: %w", err)
	}
	defer func() { _ = release(context.WithoutCancel(ctx)) }()
	if err := copyBlobs(ctx, c, layout(o.Layout), manifest, target); err != nil {
		return err
	}
	image := client.NewImageWithPlatform(c, images.Image{Name: o.Reference, Target: target}, platforms.Default())
	if err := image.Unpack(ctx, ""); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	// The configuration's digest is the image's id to the runtime.
	for _, name := range []string{manifest.Config.Digest.String(), o.Reference} {
		if err := nameImage(ctx, c, name, target); err != nil {
			return err
		}
	}
	return awaitRuntime(ctx, c, o.Reference)
}

func copyBlobs(ctx context.Context, c *client.Client, l layout, m ocispec.Manifest, target ocispec.Descriptor) error {
	store := c.ContentStore()
	for _, desc := range append([]ocispec.Descriptor{m.Config}, m.Layers...) {
		if err := l.copyTo(ctx, store, desc, nil); err != nil {
			return err
		}
	}
	labels := map[string]string{"containerd.io/gc.ref.content.config": m.Config.Digest.String()}
	for i, layer := range m.Layers {
		labels[fmt.Sprintf("containerd.io/gc.ref.content.l.%d", i)] = layer.Digest.String()
	}
	return l.copyTo(ctx, store, target, labels)
}

// nameImage gives the image a name, or brings the name to it.
func nameImage(ctx context.Context, c *client.Client, name string, target ocispec.Descriptor) error {
	image := images.Image{Name: name, Target: target, Labels: criLabels()}
	_, err := c.ImageService().Create(ctx, image)
	if errors.Is(err, errdefs.ErrAlreadyExists) {
		_, err = c.ImageService().Update(ctx, image, "target", "labels.io.cri-containerd.image", "labels.io.cri-containerd.pinned")
	}
	if err != nil {
		return fmt.Errorf("name the image %s: %w", name, err)
	}
	return nil
}

// awaitRuntime returns when kubelet's side of containerd knows the image: it learns of new images
// by events, a moment later, and a pod that came first would try to pull. A containerd
// without that side has nobody to wait for.
func awaitRuntime(ctx context.Context, c *client.Client, reference string) error {
	conn, ok := c.Conn().(grpc.ClientConnInterface)
	if !ok {
		return errors.New("containerd's connection is not gRPC")
	}
	service := cri.NewImageServiceClient(conn)
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		answer, err := service.ImageStatus(ctx, &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: reference}})
		if err == nil && answer.Image != nil || status.Code(err) == codes.Unimplemented {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the runtime does not know the image: %w", errors.Join(err, ctx.Err()))
		case <-time.After(wait):
		}
	}
}
