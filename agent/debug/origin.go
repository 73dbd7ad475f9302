package debug

import (
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/imagebuild/lock"
)

// asked says which plan the current generation is.
func (n *Node) asked(f *facts) *Asked {
	if f.gen == nil {
		return nil
	}
	asked := &Asked{Generation: f.gen.Number, Deployment: f.gen.Plan.Deployment}
	if entry := f.entry(f.gen.Number); entry != nil {
		asked.Plan, asked.Accepted, asked.Step = entry.PlanDigest, entry.Began, string(entry.Step)
	}
	if known, err := n.known(); err == nil {
		asked.ControlPlane = known.ControlPlane
	}
	if delivery, err := n.store().Delivery(f.gen.Number); err == nil {
		asked.SignedBy = keyIDs(delivery.Envelope)
	}
	return asked
}

// keyIDs returns the ids of the keys that signed a DSSE envelope, as it says itself.
func keyIDs(raw []byte) []string {
	var envelope struct {
		Signatures []struct {
			KeyID string `json:"keyid"`
		} `json:"signatures"`
	}
	if json.Unmarshal(raw, &envelope) != nil {
		return nil
	}
	var ids []string
	for _, signature := range envelope.Signatures {
		ids = append(ids, signature.KeyID)
	}
	return ids
}

// origin follows an image of the current plan up to the signed lock.
func (n *Node) origin(f *facts, image plan.Image) *Origin {
	o := &Origin{Name: image.Name, Repository: image.Repository, Manifest: image.Digest}
	record, err := n.store().Images.Record(image.Digest)
	o.Stored = err == nil
	if f.checked == nil {
		if f.checkErr != nil {
			o.Broken = f.checkErr.Error()
		}
		if record != nil { // what was verified when it was fetched
			o.Config = record.Config
			for _, layer := range record.Layers {
				o.Layers = append(o.Layers, layer.Digest)
			}
			n.files(o, record.Files, image)
		}
		return o
	}
	platform := f.checked.Platforms[image.Name]
	o.Config, o.Lock = platform.Config, f.checked.Plan.Lock
	for _, layer := range platform.Layers {
		o.Layers = append(o.Layers, layer.Digest)
	}
	n.files(o, platform.Files, image)
	if entry, _, ok := f.checked.Lock.ByManifest(image.Digest); ok {
		o.Version, o.Index = entry.Version, entry.Index
		o.Module, o.Source, o.Sum = entry.Source.Module, entry.Source.Version, entry.Source.Sum
		if o.Module == "" {
			o.Source = entry.Source.Reference
		}
		o.Toolchain = f.checked.Lock.Toolchain
	}
	o.LockKey, o.LockFile = n.signer(f.number)
	return o
}

// files hashes the image's files where they are kept.
func (n *Node) files(o *Origin, files []lock.Binary, image plan.Image) {
	if image.Import != "" {
		return // only the layers are kept
	}
	for _, file := range files {
		found, err := sumOf(filepath.Join(n.store().Images.Root(image.Digest), filepath.FromSlash(file.Path)))
		if err != nil {
			found = err.Error()
		}
		o.Files = append(o.Files, File{Path: file.Path, Expected: file.SHA256, Found: found, Size: file.Size})
	}
}

// signer finds which trusted key signed the lock of a generation: its id (lock.KeyID) and the file
// that holds it.
func (n *Node) signer(number uint64) (id, file string) {
	raw, signature, err := n.lockBytes(number)
	if err != nil {
		return "", ""
	}
	paths, _ := filepath.Glob(filepath.Join(n.TrustDir, "*.pub"))
	for _, path := range paths {
		rest, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for {
			block, after := pem.Decode(rest)
			if block == nil {
				break
			}
			rest = after
			one := pem.EncodeToMemory(block)
			if _, err := lock.Verify(raw, signature, one); err != nil {
				continue
			}
			if keys, err := lock.PublicKeys(one); err == nil {
				return lock.KeyID(keys[0]), path
			}
		}
	}
	return "", ""
}

// lockBytes returns a generation's lock with its signature: the delivered one, or the baked one.
func (n *Node) lockBytes(number uint64) (raw, signature []byte, err error) {
	delivery, err := n.store().Delivery(number)
	if err != nil {
		return nil, nil, err
	}
	if len(delivery.LockBytes) > 0 {
		return delivery.LockBytes, delivery.LockSignature, nil
	}
	if raw, err = os.ReadFile(filepath.Join(n.BakedLock, "images.yaml")); err != nil {
		return nil, nil, err
	}
	signature, err = os.ReadFile(filepath.Join(n.BakedLock, "images.yaml.sig"))
	return raw, signature, err
}

// imageOf returns the plan's image of that name.
func imageOf(p *plan.Plan, name string) (plan.Image, bool) {
	for _, image := range p.Images {
		if image.Name == name {
			return image, true
		}
	}
	return plan.Image{}, false
}
