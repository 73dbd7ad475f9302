// Small is a program with modules of every kind: as it is, replaced by another, replaced by a folder.
package main

import (
	"fmt"

	"github.com/opencontainers/go-digest"
	"github.com/pborman/uuid"

	"slipway.build/replaced"
)

func main() {
	fmt.Println(digest.FromString(replaced.Word), uuid.Nil)
}
