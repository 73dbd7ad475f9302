package lint

import (
	"context"
	"errors"
	"strings"

	"slipway.build/slipway/imagebuild/osimage/transport"
	"slipway.build/slipway/imagebuild/referrer"
	"slipway.build/slipway/imagebuild/sign"
)

// look finds out which forms of signature lie beside an image. Whose they are is not asked here.
func (i *Image) look(ctx context.Context, image *transport.Image) error {
	r := repository(ctx, image)
	if r == nil {
		return nil
	}
	digest, err := image.Digest()
	if err != nil {
		return err
	}
	_, err = r.Manifest(ctx, sign.SimpleTag(digest.String()), referrer.MaxManifest)
	if err != nil && !errors.Is(err, referrer.ErrNotFound) {
		return err
	}
	i.SimpleSigned = err == nil
	referrers, err := r.Referrers(ctx, digest.String())
	if err != nil && !errors.Is(err, referrer.ErrNotFound) {
		return err
	}
	for _, d := range referrers {
		i.Bundle = i.Bundle || strings.HasPrefix(d.ArtifactType, referrer.TypeBundle)
	}
	i.Signatures = true
	return nil
}

// repository is where an image's signatures would be; nil for an archive, and for an image without a name.
func repository(ctx context.Context, image *transport.Image) referrer.Repository {
	at := strings.LastIndexByte(image.Name, ':')
	switch ref := image.Reference; {
	case ref.Kind == transport.Registry:
		return referrer.OpenRegistry(ref.Remote.Context(), nil, transport.Options{}.Remote(ctx)...)
	case ref.Kind == transport.Layout && at > 0:
		return referrer.OpenLayout(ref.Path, image.Name[:at])
	}
	return nil
}
