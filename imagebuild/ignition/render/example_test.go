package render_test

import (
	"fmt"
	"log"

	"slipway.build/slipway/imagebuild/ignition/luks"
	"slipway.build/slipway/imagebuild/ignition/render"
)

func ExampleRender() {
	r, err := render.Render(render.Request{
		File: "node.bu",
		Butane: []byte(`variant: fcos
version: 1.5.0
storage:
  files:
    - path: /etc/motd
      contents:
        inline: hello
`),
		KernelArguments: []string{"quiet"},
		Version:         "3.3.0",
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(r.UserData))
	// Output:
	// {"ignition":{"version":"3.3.0"},"kernelArguments":{"shouldExist":["quiet"]},"storage":{"files":[{"contents":{"compression":"","source":"data:,hello"},"path":"/etc/motd"}]}}
}

// An error names the file, the line and the column.
func ExampleRender_errors() {
	_, err := render.Render(render.Request{
		File:    "node.bu",
		Butane:  []byte("variant: fcos\nversion: 1.7.0\nstorage:\n  files:\n    - path: motd\n"),
		Volumes: []luks.Volume{{Name: "data", Device: "/dev/vdb", TPM2: true}},
	})
	fmt.Println(err)
	// Output:
	// node.bu:5:13: error: path not absolute ($.storage.files.0.path) [butane]
}
