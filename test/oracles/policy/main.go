// Policy asks the policy engine of containers/image, the one under podman, skopeo, rpm-ostree and
// bootc, whether an image may be used, by copying it into a folder as a pull does. It prints
// "allowed", or "refused:" and the engine's reason.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/containers/image/v5/copy"
	"github.com/containers/image/v5/directory"
	"github.com/containers/image/v5/docker"
	"github.com/containers/image/v5/signature"
	"github.com/containers/image/v5/types"
)

func main() {
	policy := flag.String("policy", "/etc/containers/policy.json", "policy file")
	registries := flag.String("registries.d", "/etc/containers/registries.d", "folder that says where signatures are")
	to := flag.String("to", "", "folder that the image is copied into")
	arch := flag.String("arch", "amd64", "architecture that is taken out of an index")
	flag.Parse()
	if err := ask(*policy, *registries, *to, *arch, flag.Arg(0)); err != nil {
		fmt.Println("refused:", err)
		return
	}
	fmt.Println("allowed")
}

func ask(policyFile, registries, to, arch, image string) error {
	ctx := context.Background()
	system := &types.SystemContext{
		RegistriesDirPath:           registries,
		DockerInsecureSkipTLSVerify: types.OptionalBoolTrue, // plain HTTP over loopback
		OSChoice:                    "linux", ArchitectureChoice: arch,
		BigFilesTemporaryDir: os.TempDir(),
	}
	policy, err := signature.NewPolicyFromFile(policyFile)
	if err != nil {
		return err
	}
	engine, err := signature.NewPolicyContext(policy)
	if err != nil {
		return err
	}
	defer func() { _ = engine.Destroy() }()
	source, err := docker.ParseReference("//" + image)
	if err != nil {
		return err
	}
	target, err := directory.NewReference(to)
	if err != nil {
		return err
	}
	_, err = copy.Image(ctx, engine, target, source, &copy.Options{SourceCtx: system, DestinationCtx: system})
	return err
}
